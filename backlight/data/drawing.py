"""Outlines and textures as functions of a plane: ten of each, for the drawn data set.

Both take the local coordinates u, v of every pixel, float64 [A,H,W], in which an object spans about -1..1. An
outline is negative inside and close to the distance from the edge; a texture lies in [0,1] and mixes two colors.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from backlight.core.random import Random

Outline = Callable[[Tensor, Tensor], Tensor]
Texture = Callable[[Tensor, Tensor, Random], Tensor]


def _box(u: Tensor, v: Tensor, width: float, height: float) -> Tensor:
    return torch.maximum(u.abs() - width, v.abs() - height)


def _circle(u: Tensor, v: Tensor, radius: float) -> Tensor:
    return (u * u + v * v).sqrt() - radius


def _triangle(u: Tensor, v: Tensor) -> Tensor:
    side = math.sqrt(0.75)
    slanted = torch.maximum(side * u - 0.5 * v, -side * u - 0.5 * v)
    return torch.maximum(slanted, v) - 0.55


def _star(u: Tensor, v: Tensor) -> Tensor:
    point, notch, wedge = 1.1, 0.45, math.pi / 5
    turn = torch.atan2(v, u)
    folded = (turn - 2 * wedge * (turn / (2 * wedge)).round()).abs()
    radius = (u * u + v * v).sqrt()
    along = (notch * math.cos(wedge) - point, notch * math.sin(wedge))
    length = math.hypot(*along)
    return (along[1] * (radius * folded.cos() - point) - along[0] * radius * folded.sin()) / length


def _crescent(u: Tensor, v: Tensor) -> Tensor:
    return torch.maximum(_circle(u, v, 1.0), -_circle(u - 0.55, v, 0.8))


def _heart(u: Tensor, v: Tensor) -> Tensor:
    x, y = (u - v) * math.sqrt(0.5) + 0.15, (u + v) * math.sqrt(0.5) + 0.15
    lobes = torch.minimum(_circle(x - 0.55, y, 0.55), _circle(x, y - 0.55, 0.55))
    return torch.minimum(lobes, _box(x, y, 0.55, 0.55))


OUTLINES: dict[str, Outline] = {
    "circle": lambda u, v: _circle(u, v, 0.85),
    "square": lambda u, v: _box(u, v, 0.75, 0.75),
    "triangle": _triangle,
    "star": _star,
    "cross": lambda u, v: torch.minimum(_box(u, v, 1.0, 0.28), _box(u, v, 0.28, 1.0)),
    "ring": lambda u, v: _circle(u, v, 0.7).abs() - 0.22,
    "crescent": _crescent,
    "bar": lambda u, v: _box(u, v, 1.1, 0.3),
    "heart": _heart,
    "bow": lambda u, v: torch.maximum(u.abs() - 0.88, (v.abs() - 0.8 * u.abs()) * 0.78),
}


def _stripes(x: Tensor) -> Tensor:
    """Return 0 and 1 in turn, four stripes from -1 to 1."""
    return (x * 2).floor().remainder(2)


def _dots(u: Tensor, v: Tensor, random: Random) -> Tensor:
    x, y = (u * 2).remainder(1) - 0.5, (v * 2).remainder(1) - 0.5
    return (x * x + y * y < 0.09).double()


def _grid(u: Tensor, v: Tensor, random: Random) -> Tensor:
    return torch.maximum((u * 2.5).remainder(1) < 0.25, (v * 2.5).remainder(1) < 0.25).double()


def _speckles(u: Tensor, v: Tensor, random: Random) -> Tensor:
    cells = (torch.stack([u, v]) * 5).floor().long().remainder(16)
    drawn = (random.uniform(256, stream="speckles") < 0.5).double()
    return drawn.gather(1, (cells[0] * 16 + cells[1]).flatten(1)).view_as(u)


TEXTURES: dict[str, Texture] = {
    "plain": lambda u, v, random: torch.zeros_like(u),
    "striped": lambda u, v, random: _stripes(u),
    "checked": lambda u, v, random: (_stripes(u) + _stripes(v)).remainder(2),
    "dotted": _dots,
    "ringed": lambda u, v, random: _stripes((u * u + v * v).sqrt() * 1.5),
    "rayed": lambda u, v, random: _stripes(torch.atan2(v, u) * (5 / math.pi)),
    "gridded": _grid,
    "shaded": lambda u, v, random: (u * 0.6 + 0.5).clamp(0, 1),
    "speckled": _speckles,
    "wavy": lambda u, v, random: _stripes(v + 0.25 * torch.sin(u * 5)),
}
