"""Cosine waves: what pictures vary along, and the models that look at them, most of all along the slow ones."""

from __future__ import annotations

import math
from functools import lru_cache, partial

import torch
from torch import Tensor

from backlight.attack.black_box.queries import Place


@lru_cache(maxsize=8)
def cosines(side: int) -> Tensor:
    """Return the orthonormal cosine waves of a side, the lowest first, as rows: the DCT-II, float64 `[side, side]`.

    >>> waves = cosines(6)
    >>> bool((waves @ waves.T - torch.eye(6)).abs().max() < 1e-12)
    True
    """
    frequency, position = torch.arange(side, dtype=torch.float64)[:, None], torch.arange(side, dtype=torch.float64)
    waves = torch.cos(torch.pi * (position + 0.5) * frequency / side) * (2 / side) ** 0.5
    waves[0] /= 2**0.5
    return waves


def sum_of_waves(weights: Tensor, like: Tensor) -> Tensor:
    """Add up cosine waves by the weights `[...,C,h,w]` of the lowest h x w of them to pictures shaped `like` `[C,H,W]`.

    The l2 length of what comes out is that of the weights.

    >>> bool((sum_of_waves(torch.full((1, 1, 1), 8.0), torch.zeros(1, 8, 8)) - 1).abs().max() < 1e-6)
    True
    """
    down, across = (cosines(side).to(like) for side in like.shape[-2:])
    return down[: weights.shape[-2]].T @ weights @ across[: weights.shape[-1]]


def right_angles(place: Place, start: int, count: int, shape: tuple[int, int, int] | None = None) -> Tensor:
    """Draw directions number `start` and on `[n,C,H,W]`, or of another shape, of l2 length 1.

    As many in a row as there are values are at right angles to one another: each is one cosine wave over channels,
    rows and columns, in random order, with the same random signs at all places. Looks along random directions tell the
    same thing again and again; at right angles as many as there are values tell as much as 2.7 times as many.

    >>> place = Place(torch.zeros(3, 2, 2), "l2", 1.0, torch.tensor(-1.0), 9, (0, "mine"), torch.tensor([7]))
    >>> some = right_angles(place, 12, 12).flatten(1)
    >>> bool((some @ some.T - torch.eye(12)).abs().max() < 1e-6)
    True
    """
    channels, height, width = sides = tuple(place.original.shape) if shape is None else shape
    parts, values = [], channels * height * width
    while count > 0:
        lap, first = divmod(start, values)
        some = min(count, values - first)
        orders, signs = place.once(("lap", lap, sides), partial(_lap, place, lap, sides))
        order = orders[first : first + some]
        number = (order // (height * width), order // width % height, order % width)
        of = [cosines(side).to(place.original)[one] for side, one in zip((channels, height, width), number)]
        waves = of[0][:, :, None, None] * of[1][:, None, :, None] * of[2][:, None, None, :]
        parts.append(waves * signs)
        start, count = start + some, count - some
    return torch.cat(parts)


def _lap(place: Place, lap: int, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Draw the order of all waves `[values]`, and their common signs `[1,C,H,W]`."""
    random = place.random(lap)
    order = random.uniform(math.prod(shape), stream="order", dtype=torch.float64)[0].argsort()
    return order, random.sign(*shape, stream="signs", dtype=place.original.dtype)


def slow_right_angles(place: Place, start: int, count: int, *, side: int) -> Tensor:
    """Draw directions as `right_angles` does, among sums of the lowest `side` x `side` cosine waves of each channel.

    >>> place = Place(torch.zeros(3, 8, 8), "l2", 1.0, torch.tensor(-1.0), 9, (0, "mine"), torch.tensor([7]))
    >>> slow_right_angles(place, 0, 5, side=1).flatten(2).std(2).max() < 1e-6
    tensor(True)
    """
    channels, height, width = place.original.shape
    weights = right_angles(place, start, count, (channels, min(side, height), min(side, width)))
    return sum_of_waves(weights, place.original)
