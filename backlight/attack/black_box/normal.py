"""The boundary's normal, estimated by decisions: on which side of it looks around one of its points end."""

from __future__ import annotations

from collections.abc import Callable, Generator

import torch
from torch import Tensor

from backlight.attack.black_box.queries import Answers, Place
from backlight.attack.black_box.waves import right_angles
from backlight.pixels.geometry import length, per_image

_PART = 64  # directions that are asked about together
_RESERVE = 30  # queries for a jump and the way back to the boundary
_TINY = 1e-30

Directions = Callable[[Place, int, int], Tensor]
"""Draws directions of l2 length 1 `[n,C,H,W]` for a place, from a number on, so many."""


def sum_of_sides(
    place: Place, point: Tensor, count: int, *, radius: float, start: int, directions: Directions = right_angles
) -> Generator[Tensor, Answers, Tensor]:
    """Sum up to `count` directions, number `start` and on, by whether they fool: the longer, the more was seen.

    The last of all estimates takes what the budget leaves, but for what the jump after it needs.
    """
    signed, plain, balance, seen = torch.zeros_like(point), torch.zeros_like(point), 0.0, 0
    while seen < count:
        drawn = directions(place, start + seen, min(_PART, count - seen))
        answers = yield point + radius * drawn
        # Where the box cut a direction off, what was looked at counts.
        drawn = (answers.images - point) / radius
        signs = torch.where(answers.fooled, 1.0, -1.0).to(point)
        signed, plain = signed + (per_image(signs, drawn) * drawn).sum(0), plain + drawn.sum(0)
        balance, seen = balance + float(signs.sum()), seen + len(drawn)
        if answers.left < _PART + _RESERVE:
            break
    return signed if abs(balance) == seen else signed - balance / seen * plain


def steepest(slope: Tensor, norm: str) -> Tensor:
    """Return the direction of length 1 in the norm that leads along a slope `[C,H,W]` the most.

    >>> steepest(torch.tensor([[[3.0, -4.0]]]), "l2"), steepest(torch.tensor([[[3.0, -4.0]]]), "linf")
    (tensor([[[ 0.6000, -0.8000]]]), tensor([[[ 1., -1.]]]))
    """
    return slope.sign() if norm == "linf" else slope / length(slope[None], "l2").clamp(min=_TINY)
