"""What makes a style: statistics of a layer that forget where things are; and the terms of style transfer's loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from backlight.pixels import Constraint, Measure, View, gram

_TINY = 1e-12


def scaled_gram(features: Tensor) -> Tensor:
    """Return Gram matrices over channels times positions: `[A,C,h,w]` to `[A,C,C]` (CS231n's convention).

    >>> scaled_gram(torch.ones(1, 2, 3, 3))[0, 0, 0]
    tensor(0.5000)
    """
    return gram(features) / features.shape[1]


def moments(features: Tensor) -> Tensor:
    """Return mean and covariance of channels over positions, divided by their number: `[A,C,h,w]` to `[A,C,C+1]`.

    >>> moments(torch.ones(1, 2, 3, 3))[0]
    tensor([[0.5000, 0.0000, 0.0000],
            [0.5000, 0.0000, 0.0000]])
    """
    flat = features.flatten(2)
    mean = flat.mean(2, keepdim=True)
    centered = flat - mean
    covariance = centered @ centered.mT / flat.shape[2]
    return torch.cat([mean, covariance], 2) / features.shape[1]


STATISTICS: dict[str, Callable[[Tensor], Tensor]] = {"gram": scaled_gram, "moments": moments}
"""The statistics of a layer by name."""


def style_term(layer: str, target: Tensor, statistic: str = "gram", relative: bool = False) -> Measure:
    """Measure the squared distance of a layer's statistic from `target` `[B or 1,C,...]`.

    >>> style_term("layer1", torch.zeros(1, 4, 4))
    style('layer1')
    """
    measure = STATISTICS[statistic]
    return _squared(layer, target, measure, relative, f"style({layer!r})")


def content_term(layer: str, target: Tensor, relative: bool = False) -> Measure:
    """Measure the squared distance of a layer from `target` `[B,C,h,w]`.

    >>> content_term("layer3", torch.zeros(1, 4, 2, 2))
    content('layer3')
    """
    return _squared(layer, target, lambda features: features, relative, f"content({layer!r})")


def _squared(layer: str, target: Tensor, statistic: Callable[[Tensor], Tensor], relative: bool, name: str) -> Measure:
    norms = target.flatten(1).square().sum(1).clamp(min=_TINY) if relative else torch.ones(1).to(target)

    def value(view: View) -> Tensor:
        difference = statistic(view[layer]) - view.pick(target)
        return difference.square().flatten(1).sum(1) / view.pick(norms)

    return Measure(value, name, layers={layer})


@dataclass(frozen=True, repr=False, eq=False)
class InputBox(Constraint):
    """Keep each channel between two bounds (one for all, or one each), up to turn `until`.

    >>> InputBox((0.0,), (1.0,)).project(torch.full((1, 3, 1, 1), 2.0), torch.tensor([0]), 0).flatten()
    tensor([1., 1., 1.])
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    until: int | None = None

    def project(self, params: Tensor, rows: Tensor, t: int) -> Tensor:
        """Clamp each channel."""
        if self.until is not None and t >= self.until:
            return params
        low, high = (params.new_tensor(bounds).view(1, -1, 1, 1) for bounds in (self.low, self.high))
        return params.clamp(low, high)
