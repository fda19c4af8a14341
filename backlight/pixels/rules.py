"""How parameters move uphill: sign steps, unit steps, gradient ascent and Adam.

A rule climbs the objective; to go down, put a minus before the objective.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from backlight.pixels.geometry import length, per_image, unit
from backlight.pixels.rule import Observation, Rule, Schedule, State, Update, at_turn


@dataclass(frozen=True, repr=False)
class Sign(Rule):
    """Step by `size` pixel units along the gradient's sign, as FGSM and PGD do.

    With `momentum` the sign is that of a running sum of gradients, each divided by its mean absolute value
    (MI-FGSM, Dong et al. 2018, equation 6; arXiv:1710.06081).

    >>> Sign(2 / 255, momentum=1.0).pixels
    True
    """

    size: Schedule
    momentum: float = 0.0
    pixels = True

    def init(self, params: Tensor, rows: Tensor) -> State:
        """Start with no momentum."""
        return {"momentum": torch.zeros_like(params)} if self.momentum else {}

    def step(self, state: State, seen: Observation) -> Update:
        """Add the step to where the loop looked."""
        direction = seen.gradient
        if self.momentum:
            direction = self.momentum * state["momentum"] + mean_one(direction)
            state = {"momentum": direction}
        return Update(seen.params.add(direction.sign(), alpha=at_turn(self.size, seen.t)), state)


def mean_one(gradient: Tensor) -> Tensor:
    """Divide each image's gradient `[A,...]` by its mean absolute value; one that is zero all over stays zero.

    >>> mean_one(torch.tensor([[1.0, -3.0], [0.0, 0.0]]))
    tensor([[ 0.5000, -1.5000],
            [ 0.0000,  0.0000]])
    """
    # The largest value first: a mean of tiny values underflows, and a zero gradient must stay zero, not NaN.
    largest = per_image(length(gradient, "linf"), gradient)
    gradient = gradient / torch.where(largest > 0, largest, 1.0)
    mean = per_image(gradient.abs().flatten(1).mean(1), gradient)
    return gradient / torch.where(mean > 0, mean, 1.0)


@dataclass(frozen=True, repr=False)
class Unit(Rule):
    """Step by l2 length `size` along the gradient; where that is zero, along a keyed random direction.

    >>> Unit(0.1).rejects
    False
    """

    size: Schedule
    pixels = True

    def step(self, state: State, seen: Observation) -> Update:
        """Add the step to where the loop looked."""
        return Update(seen.params + at_turn(self.size, seen.t) * unit(seen.gradient, seen.random), state)


@dataclass(frozen=True, repr=False)
class SGD(Rule):
    """Step by `lr` times the gradient, or times the running sum `momentum * sum + gradient`, as torch does.

    >>> SGD(0.1, momentum=0.9)
    SGD(0.1, 0.9)
    """

    lr: Schedule
    momentum: float = 0.0

    def init(self, params: Tensor, rows: Tensor) -> State:
        """Start with no momentum."""
        return {"momentum": torch.zeros_like(params)} if self.momentum else {}

    def step(self, state: State, seen: Observation) -> Update:
        """Add the step to where the loop looked."""
        direction = seen.gradient
        if self.momentum:
            direction = self.momentum * state["momentum"] + direction
            state = {"momentum": direction}
        return Update(seen.params + at_turn(self.lr, seen.t) * direction, state)


@dataclass(frozen=True, repr=False)
class Adam(Rule):
    """Step by Adam with torch's defaults, uphill (Kingma and Ba 2015, algorithm 1; arXiv:1412.6980).

    `lr` may be a function of the turn; `rates` `[B]` multiply it, one for each image of the batch.

    >>> Adam(lr=lambda t: 0.1 if t < 50 else 0.01).betas
    (0.9, 0.999)
    """

    lr: Schedule
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    rates: Tensor | None = None

    def init(self, params: Tensor, rows: Tensor) -> State:
        """Start both moments at zero."""
        rate = params.new_ones(len(params)) if self.rates is None else self.rates[rows].to(params)
        return {"mean": torch.zeros_like(params), "square": torch.zeros_like(params), "rate": rate}

    def step(self, state: State, seen: Observation) -> Update:
        """Update both moments and step by their ratio."""
        gradient, count = seen.gradient, seen.t + 1
        first, second = self.betas
        # Fused and in place, where nobody else holds the tensor: on a CPU each pass over the picture counts.
        mean = torch.lerp(state["mean"], gradient, 1 - first)
        square = (second * state["square"]).addcmul_(gradient, gradient, value=1 - second)
        scale = square.sqrt().div_(math.sqrt(1 - second**count)).add_(self.eps)
        lr = per_image(at_turn(self.lr, seen.t) / (1 - first**count) * state["rate"], mean)
        return Update(torch.addcdiv(seen.params, lr * mean, scale), state | {"mean": mean, "square": square})
