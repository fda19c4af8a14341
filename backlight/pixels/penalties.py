"""Measures of the pixels alone, without a forward pass: distance and total variation."""

from __future__ import annotations

from torch import Tensor

from backlight.core.errors import UsageError
from backlight.pixels.geometry import check_norm, length
from backlight.pixels.measure import Measure
from backlight.pixels.view import View


def distance(images: Tensor, norm: str = "l2", squared: bool = False) -> Measure:
    """Measure how far pictures are from `images` `[B,C,H,W]`: linf, l2 or l1 over all values, in pixel units.

    `squared` gives the square, which is smooth where the distance is zero.

    Raises UsageError for an unknown norm.

    >>> import torch
    >>> -distance(torch.zeros(2, 3, 4, 4), "linf")
    -distance('linf')
    """
    check_norm(norm)

    def measure(view: View) -> Tensor:
        difference = view.images - view.pick(images)
        if squared and norm == "l2":
            return difference.square().flatten(1).sum(1)
        far = length(difference, norm)
        return far.square() if squared else far

    return Measure(measure, f"distance({norm!r}{', squared=True' if squared else ''})", layers=())


def total_variation(norm: str = "l2") -> Measure:
    """Measure roughness: neighboring differences, down and across, absolute (l1) or squared (l2), summed.

    Raises UsageError for another norm.

    >>> import torch
    >>> total_variation("l1").evaluate(None, torch.eye(2).view(1, 1, 2, 2))
    tensor([4.])
    """
    if norm not in ("l1", "l2"):
        raise UsageError(f"total variation in {norm!r}", expected="l1 or l2")

    def measure(view: View) -> Tensor:
        down, across = view.images.diff(dim=2).flatten(1), view.images.diff(dim=3).flatten(1)
        if norm == "l1":
            return down.abs().sum(1) + across.abs().sum(1)
        return down.square().sum(1) + across.square().sum(1)

    return Measure(measure, f"total_variation({norm!r})", layers=())
