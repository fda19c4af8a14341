"""Primal-dual descent: weigh size against the margin by a price that learns (Matyasko and Chau 2021, arXiv:2106.01538).

Two logarithms of weights, one for the size of the change and one for the margin, follow what is seen: the margin's
grows while the picture is not fooled and falls once it is. A running mean of their softmax is what counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from backlight.attack.rules.momenta import fresh_momenta, learn_momenta, spread
from backlight.pixels import Observation, Rule, Update
from backlight.pixels.geometry import length, per_image
from backlight.pixels.proximal import PROXIMAL, Proximal, prox_two_thirds
from backlight.pixels.rule import State

_RATIO, _LEAST_RATIO = 0.01, 1e-6  # of the size's weight to the margin's, at first and at least
_KEPT = 0.9  # of the mean weights, each turn
_FIRST, _LAST = 0.1, 0.01  # of the step; of the weight's step, whose end is a tenth of its beginning
_OPERATORS: dict[str, Proximal] = PROXIMAL | {"l0": prox_two_thirds}


@dataclass(frozen=True, repr=False, eq=False)
class PrimalDual(Rule):
    """Descend by Adam on the weighted sum of the l2 distance and softplus(margin): PDGD.

    The objective is minus the margin; `images` are the originals `[B,...]`.

    >>> PrimalDual(torch.zeros(1, 3, 2, 2)).pixels
    True
    """

    images: Tensor
    pixels = True

    def init(self, params: Tensor, rows: Tensor) -> State:
        """Start with nearly all weight on the margin."""
        weight = params.new_full((len(params),), -math.log(_RATIO))
        share = torch.sigmoid(-weight)
        return {"original": self.images[rows], "weight": weight, "share": share, **fresh_momenta(params)}

    def step(self, state: State, seen: Observation) -> Update:
        """Step on both, stay in the box, and learn the weights."""
        change = seen.params - state["original"]
        far = length(change, "l2").clamp(min=torch.finfo(change.dtype).tiny)
        share = state["share"]
        gradient = per_image(share / far, change) * change + per_image(1 - share, change) * uncertain(seen)
        state, direction = learn_momenta(state, gradient, seen.t)
        return Update(seen.project(seen.params - step_size(seen) * direction), learn_weights(state, seen))


@dataclass(frozen=True, repr=False, eq=False)
class PrimalDualProximal(PrimalDual):
    """Descend by Adam on softplus(margin) alone, then pay for the size by its proximal operator: PDPGD.

    `norm` is l1, l2, linf, or l0, for which the powers of 2/3 stand in. A value's move costs what Adam divides its step
    by (proximal Adam, Melchior et al. 2019, arXiv:1910.10094); the price is paid exactly, where the authors take up to
    five approximate steps.

    >>> PrimalDualProximal(torch.zeros(1, 3, 2, 2), "l1").norm
    'l1'
    """

    norm: str = "l2"

    def step(self, state: State, seen: Observation) -> Update:
        """Step on the margin, pay for the size, and learn the weights."""
        size = step_size(seen)
        state, direction = learn_momenta(state, uncertain(seen), seen.t)
        moved = seen.project(seen.params - size * direction) - state["original"]
        moved = self._pay(moved, spread(state, seen.t), size, state)
        return Update(state["original"] + moved, learn_weights(state, seen))

    def _pay(self, moved: Tensor, scale: Tensor, size: float, state: State) -> Tensor:
        widest = length(scale, "linf")
        price = state["share"] / (1 - state["share"]) * (size / widest)
        return _OPERATORS[self.norm](moved, price, scale / per_image(widest, scale))


def uncertain(seen: Observation) -> Tensor:
    """Return the gradient of softplus(margin), also where fooled; the objective is minus the margin.

    Without it there the price alone would lead back across the boundary, and on a robust network the nearest success
    in l1 ends up a fifth farther away.

    >>> from backlight.core.random import Random
    >>> value, gradient = torch.tensor([-2.0, 1.0]), torch.ones(2, 1)
    >>> seen = Observation(0, 1, gradient, value, gradient, value > 0, Random(0, [0, 1]), lambda params: params)
    >>> uncertain(seen).abs()
    tensor([[0.8808],
            [0.2689]])
    """
    return seen.gradient * per_image(-torch.sigmoid(-seen.value), seen.gradient)


def step_size(seen: Observation) -> float:
    """Return the step's size, which falls from 0.1 to a hundredth of it, by the same factor every turn."""
    return _FIRST * _LAST ** (seen.t / seen.steps)


def learn_weights(state: State, seen: Observation) -> State:
    """Raise the margin's weight where the picture is not fooled and lower it where it is."""
    left = (seen.steps - 1 - seen.t) / max(seen.steps - 1, 1)
    pace = _FIRST * (_FIRST + (1 - _FIRST) * left)
    limit = -math.log(_LEAST_RATIO)
    weight = (state["weight"] + torch.where(seen.success, -pace, pace)).clamp(-limit, limit)
    share = _KEPT * state["share"] + (1 - _KEPT) * torch.sigmoid(-weight)
    return state | {"weight": weight, "share": share}
