"""Where a transfer attack goes next: momentum, looks ahead, and gradients gathered around a picture.

A rule is arithmetic on per-picture tensors that never sees the model: it asks a `Turn` for gradients, at as many
points as it likes, and answers with a direction, whose sign is stepped along.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from backlight.core.random import Random
from backlight.pixels.rule import State
from backlight.pixels.rules import mean_one


@dataclass(frozen=True, eq=False)
class Turn:
    """What a rule is told at a step: where the pictures stand `[A,C,H,W]`, and a way to ask for gradients.

    `slope(points, number)` is the objective's gradient at any points `[A,C,H,W]`, also outside of ball and box,
    averaged over the views that are shown; `number` tells the looks of one step apart, so that each sees other views.
    `size` is the length of a step, `eps` that of the ball, both in linf.

    >>> still = torch.zeros(1, 3, 2, 2)
    >>> Turn(still, 0.1, 0.3, Random(0, [0]), lambda points, number: points).nearby(0.2, 0).abs().max() <= 0.2
    tensor(True)
    """

    images: Tensor
    size: float
    eps: float
    random: Random
    slope: Callable[[Tensor, int], Tensor]

    def nearby(self, radius: float, number: int) -> Tensor:
        """Draw a point around each picture, uniformly within `radius` of each value; `number` tells draws apart."""
        shape = self.images.shape[1:]
        drawn = self.random.uniform(*shape, stream=("nearby", number), dtype=self.images.dtype)
        return self.images + radius * (2 * drawn - 1)


class TransferRule(Protocol):
    """Say where to go from the gradients of one step and from what is remembered of the steps before.

    `looks` counts the gradients asked for in a step. `memory` is empty at the first step; every tensor in it is
    `[A,...]`.

    >>> rule: TransferRule = Momentum()
    >>> rule.looks
    1
    """

    @property
    def looks(self) -> int:
        """Count the gradients of a step."""
        ...

    def direction(self, turn: Turn, memory: State) -> tuple[Tensor, State]:
        """Return the direction `[A,C,H,W]` whose sign is stepped along, and what to remember."""
        ...


def _remembered(memory: State, name: str, like: Tensor) -> Tensor:
    return memory[name] if name in memory else torch.zeros_like(like)


@dataclass(frozen=True)
class Momentum:
    """Add up gradients of mean absolute value 1 (MI-FGSM, Dong et al. 2018, arXiv:1710.06081).

    With `decay` 0 it is I-FGSM, which steps along the last gradient alone.

    >>> Momentum(decay=0.0).looks
    1
    """

    decay: float = 1.0
    looks: int = 1

    def direction(self, turn: Turn, memory: State) -> tuple[Tensor, State]:
        """Return the running sum."""
        momentum = self.decay * _remembered(memory, "momentum", turn.images)
        momentum = momentum + mean_one(turn.slope(turn.images, 0))
        return momentum, {"momentum": momentum}


@dataclass(frozen=True)
class Nesterov:
    """Look where the momentum leads before adding to it (NI-FGSM, Lin et al. 2020, arXiv:1908.06281).

    >>> Nesterov().decay
    1.0
    """

    decay: float = 1.0
    looks: int = 1

    def direction(self, turn: Turn, memory: State) -> tuple[Tensor, State]:
        """Return the running sum, the last gradient taken one step ahead along it."""
        momentum = self.decay * _remembered(memory, "momentum", turn.images)
        momentum = momentum + mean_one(turn.slope(turn.images + turn.size * momentum, 0))
        return momentum, {"momentum": momentum}


@dataclass(frozen=True)
class PreviousGradient:
    """Look where the last gradient leads, not the momentum (PI-FGSM, Wang et al. 2021, arXiv:2103.10609).

    >>> PreviousGradient().looks
    1
    """

    decay: float = 1.0
    looks: int = 1

    def direction(self, turn: Turn, memory: State) -> tuple[Tensor, State]:
        """Return the running sum, the last gradient taken one step ahead along the one before."""
        ahead = turn.images + turn.size * _remembered(memory, "gradient", turn.images)
        gradient = mean_one(turn.slope(ahead, 0))
        momentum = self.decay * _remembered(memory, "momentum", turn.images) + gradient
        return momentum, {"momentum": momentum, "gradient": gradient}
