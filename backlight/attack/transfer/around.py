"""Rules that gather gradients around a picture, so that one sharp peak of the surrogate does not lead the way."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backlight.attack.transfer.rules import Turn
from backlight.pixels.rule import State
from backlight.pixels.rules import mean_one


@dataclass(frozen=True)
class Variance:
    """Correct the gradient by how it differed nearby at the step before (VMI-FGSM, Wang and He 2021, arXiv:2103.15571).

    `samples` neighbors are drawn within `reach` times eps.

    >>> Variance().looks
    21
    """

    samples: int = 20
    reach: float = 1.5
    decay: float = 1.0

    @property
    def looks(self) -> int:
        """Count the gradients of a step: the picture's own and those of its neighbors."""
        return 1 + self.samples

    def direction(self, turn: Turn, memory: State) -> tuple[Tensor, State]:
        """Return the running sum of corrected gradients."""
        gradient = turn.slope(turn.images, 0)
        corrected = gradient if "variance" not in memory else gradient + memory["variance"]
        momentum = mean_one(corrected)
        if "momentum" in memory:
            momentum = self.decay * memory["momentum"] + momentum
        around = torch.zeros_like(gradient)
        for number in range(self.samples):
            near = turn.nearby(self.reach * turn.eps, number)
            around = around + turn.slope(near, 1 + number) / self.samples
        return momentum, {"momentum": momentum, "variance": around - gradient}


@dataclass(frozen=True)
class FlatSlopes:
    """Prefer places where the gradient stays small around (PGN, Ge et al. 2023, arXiv:2306.05225).

    Each of `samples` neighbors within `reach` times eps is looked at twice, the second time one step back along its
    gradient; `balance` weighs the second look.

    >>> FlatSlopes().looks
    40
    """

    samples: int = 20
    reach: float = 3.0
    balance: float = 0.5
    decay: float = 1.0

    @property
    def looks(self) -> int:
        """Count the gradients of a step."""
        return 2 * self.samples

    def direction(self, turn: Turn, memory: State) -> tuple[Tensor, State]:
        """Return the running sum of mean gradients."""
        mean = torch.zeros_like(turn.images)
        for number in range(self.samples):
            near = turn.nearby(self.reach * turn.eps, number)
            first = turn.slope(near, 2 * number)
            second = turn.slope(near - turn.size * mean_one(first), 2 * number + 1)
            mean = mean + ((1 - self.balance) * first + self.balance * second) / self.samples
        momentum = mean_one(mean)
        if "momentum" in memory:
            momentum = self.decay * memory["momentum"] + momentum
        return momentum, {"momentum": momentum}


@dataclass(frozen=True)
class FlatMaximum:
    """Climb to flat ground, from neighbors that are pushed on by turns (MEF, Qiu et al. 2024, arXiv:2405.16181).

    Each of `samples` neighbors, within `reach` times eps, is moved by `push` times eps along its own memory, which
    takes in its last gradient and turns `back` of itself around; `decay` is that of the mean's momentum. Published
    with 20 steps.

    >>> FlatMaximum().looks
    20
    """

    samples: int = 20
    reach: float = 2.0
    push: float = 0.15
    back: float = 0.9
    decay: float = 0.5

    @property
    def looks(self) -> int:
        """Count the gradients of a step."""
        return self.samples

    def direction(self, turn: Turn, memory: State) -> tuple[Tensor, State]:
        """Return the running sum of mean gradients."""
        before = memory["pushed"].unbind(1) if "pushed" in memory else [torch.zeros_like(turn.images)] * self.samples
        mean, pushed = torch.zeros_like(turn.images), []
        for number, push in enumerate(before):
            near = turn.nearby(self.reach * turn.eps, number) + self.push * turn.eps * push
            gradient = turn.slope(near, number)
            mean = mean + gradient / self.samples
            pushed.append(mean_one(gradient) - self.back * push)
        momentum = mean_one(mean)
        if "momentum" in memory:
            momentum = self.decay * memory["momentum"] + momentum
        return momentum, {"momentum": momentum, "pushed": torch.stack(pushed, 1)}
