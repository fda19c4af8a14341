"""Interval bounds: what every value of a network may become while its input stays within a box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from backlight.bounds.steps import Step


@dataclass(frozen=True, eq=False)
class Interval:
    """The least and the largest values of a tensor, of equal shapes `[B,...]`.

    >>> Interval(torch.tensor([0.0]), torch.tensor([1.0])).center
    tensor([0.5000])
    """

    lower: Tensor
    upper: Tensor

    @property
    def center(self) -> Tensor:
        """Return the middle."""
        return (self.lower + self.upper) / 2

    @property
    def radius(self) -> Tensor:
        """Return half the width."""
        return (self.upper - self.lower) / 2

    def within(self, other: Interval) -> Interval:
        """Return what both allow."""
        return Interval(torch.maximum(self.lower, other.lower), torch.minimum(self.upper, other.upper))


def propagate(steps: Sequence[Step], box: Interval) -> list[Interval]:
    """Return the interval of every step's output, by interval arithmetic (Gowal et al. 2018, arXiv:1810.12715).

    Affine steps carry center and radius, with absolute weights for the latter; ReLU and maxima carry both ends. It is
    differentiable, so that a network can be trained on it.

    >>> from torch import nn
    >>> from backlight.bounds.steps import steps_of
    >>> box = Interval(torch.zeros(1, 2), torch.ones(1, 2))
    >>> propagate(steps_of(nn.Sequential(nn.Linear(2, 1), nn.ReLU())), box)[-1].lower.shape
    torch.Size([1, 1])
    """
    found = [box]
    for step in steps[1:]:
        found.append(step_interval(step, [found[one] for one in step.inputs]))
    return found


def step_interval(step: Step, inputs: Sequence[Interval]) -> Interval:
    """Return the interval of one step's output.

    >>> from torch import nn
    >>> from backlight.bounds.steps import steps_of
    >>> relu = steps_of(nn.Sequential(nn.ReLU()))[1]
    >>> step_interval(relu, [Interval(torch.tensor([-1.0]), torch.tensor([2.0]))]).lower
    tensor([0.])
    """
    if step.kind == "affine":
        center, radius = step.apply(*(one.center for one in inputs)), step.spread(*(one.radius for one in inputs))
        return Interval(center - radius, center + radius)
    return Interval(step.apply(*(one.lower for one in inputs)), step.apply(*(one.upper for one in inputs)))
