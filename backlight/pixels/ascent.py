"""Projected gradient ascent in a ball (Madry et al. 2018), assembled once: attacks and adversarial training use it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from backlight.core.errors import UsageError
from backlight.pixels.constraints import Ball, Box, Constraint
from backlight.pixels.l0 import L0Ball
from backlight.pixels.l1 import L1Ball
from backlight.pixels.rule import Rule
from backlight.pixels.rules import Sign, Unit
from backlight.pixels.sparse import Sparse
from backlight.pixels.starts import Gaussian, Start, Uniform

DEFAULT_EPS: dict[str, float] = {"linf": 8 / 255, "l2": 0.5, "l1": 12.0, "l0": 24.0}
"""The usual sizes for 32 px images (RobustBench; Croce and Hein 2021 for l1; Cina et al. 2025 for l0)."""


def ball(norm: str, images: Tensor, eps: float) -> Constraint:
    """Return the ball of a norm around images `[B,C,H,W]`, cut with the box [0,1].

    linf and l2 are projected on the ball and then on the box; l1 and l0 on both at once.

    >>> import torch
    >>> ball("linf", torch.ones(1, 1, 1, 1), 0.1).project(torch.full((1, 1, 1, 1), 2.0), torch.tensor([0]), 0)
    tensor([[[[1.]]]])
    """
    if norm == "l0":
        return L0Ball(images, eps)
    return L1Ball(images, eps) if norm == "l1" else Ball(norm, images, eps) & Box()


@dataclass(frozen=True)
class Ascent:
    """Climb inside a ball of a norm and a size `eps`: the parts that PGD is assembled from, for attack and training.

    Each of `steps` steps has length `step_size` in the norm's units, by default 2.5 eps / steps, along the steepest
    direction; `momentum` is the weight of the directions before (linf).

    Raises UsageError for momentum in another norm than linf.

    >>> Ascent("linf", 0.1, steps=5).rule, Ascent("linf", 0.1).start
    (Sign(0.05, 0.0), Uniform('linf', 0.1))
    """

    norm: str
    eps: float
    steps: int = 40
    step_size: float | None = None
    momentum: float = 0.0

    def __post_init__(self) -> None:
        if self.momentum and self.norm != "linf":
            found = f"momentum in {self.norm}"
            raise UsageError(found, expected="linf, where steps are signs of a running mean")

    @property
    def rule(self) -> Rule:
        """Return the rule that takes such steps."""
        size = 2.5 * self.eps / max(self.steps, 1) if self.step_size is None else self.step_size
        return {"linf": Sign(size, self.momentum), "l2": Unit(size), "l1": Sparse(size)}[self.norm]

    def inside(self, images: Tensor) -> Constraint:
        """Return the ball around images `[B,C,H,W]`, cut with the box [0,1]."""
        return ball(self.norm, images, self.eps)

    @property
    def start(self) -> Start:
        """Return a random start in the ball: uniform for linf and l2, projected normal numbers for l1."""
        return Gaussian(1.0) if self.norm == "l1" else Uniform(self.norm, self.eps)
