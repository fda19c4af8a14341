"""Sigma-zero: a smooth count of changed values, and a threshold that drops the small ones (arXiv:2402.01879)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from backlight.attack.rules.momenta import fresh_momenta, learn_momenta
from backlight.pixels import Observation, Rule, Update
from backlight.pixels.geometry import length, per_image
from backlight.pixels.rule import State


@dataclass(frozen=True, repr=False, eq=False)
class SigmaZero(Rule):
    """Descend by Adam to fewer changed values, and set those below a threshold back; it grows while fooled.

    Cina et al. 2025 (arXiv:2402.01879), algorithm 1. The objective is minus the margin; `images` are the originals
    `[B,...]`. A value counts as d^2 / (d^2 + sigma) of its change d; the threshold moves by `pace` of the step.

    >>> SigmaZero(torch.zeros(1, 3, 2, 2)).sigma
    0.001
    """

    images: Tensor
    sigma: float = 1e-3
    size: float = 1.0
    threshold: float = 0.3
    pace: float = 0.01
    pixels = True

    def init(self, params: Tensor, rows: Tensor) -> State:
        """Start with nothing seen."""
        threshold = params.new_full((len(params),), self.threshold)
        return {"original": self.images[rows], "threshold": threshold, **fresh_momenta(params)}

    def step(self, state: State, seen: Observation) -> Update:
        """Step, stay in the box, and set small changes back."""
        original = state["original"]
        change = seen.params - original
        gradient = self.slope(change) - seen.gradient * per_image(seen.value < 0, change)
        largest = length(gradient, "linf").clamp(min=1e-12)
        state, direction = learn_momenta(state, gradient / per_image(largest, gradient), seen.t)
        moved = seen.project(seen.params - self._size(seen.t - 1, seen.steps) * direction)
        pace = self.pace * self._size(seen.t, seen.steps)
        threshold = (state["threshold"] + torch.where(seen.success, pace, -pace)).clamp(0, 1)
        small = (moved - original).abs() < per_image(threshold, moved)
        return Update(torch.where(small, original, moved), state | {"threshold": threshold})

    def slope(self, change: Tensor) -> Tensor:
        """Return the gradient of the mean of d^2 / (d^2 + sigma) over the values of a change `[A,...]`.

        >>> SigmaZero(torch.zeros(1, 2)).slope(torch.tensor([[0.0, 0.1]]))
        tensor([[0.0000, 0.8264]])
        """
        return change * (2 * self.sigma / change[0].numel()) / (change.square() + self.sigma).square()

    def _size(self, t: int, steps: int) -> float:
        """Return the step after turn `t`, along a cosine to a tenth of the first."""
        if t < 0:
            return self.size
        return self.size * (0.1 + 0.9 * (1 + math.cos(math.pi * t / steps)) / 2)
