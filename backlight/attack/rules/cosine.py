"""Steps that shrink along a cosine, twice."""

from __future__ import annotations

import math
from dataclasses import dataclass

from backlight.pixels import Observation, Rule, Update
from backlight.pixels.geometry import unit
from backlight.pixels.rule import State


@dataclass(frozen=True, repr=False)
class Halves(Rule):
    """Step along the gradient's sign (linf) or direction (l2); in each half of the steps `size` shrinks to nothing.

    As PMA does (Xie et al. 2024, arXiv:2411.15210).

    >>> Halves("linf", 16 / 255).at(0, 100), Halves("linf", 16 / 255).at(75, 100) == 8 / 255
    (0.06274509803921569, True)
    """

    norm: str
    size: float
    pixels = True

    def at(self, t: int, steps: int) -> float:
        """Return the length of the step after turn `t` of so many."""
        half = max(steps // 2, 1)
        return self.size * (1 + math.cos(math.pi * (t % half if t < 2 * half else half) / half)) / 2

    def step(self, state: State, seen: Observation) -> Update:
        """Add the step to where the loop looked."""
        direction = seen.gradient.sign() if self.norm == "linf" else unit(seen.gradient, seen.random)
        return Update(seen.params + self.at(seen.t, seen.steps) * direction, state)
