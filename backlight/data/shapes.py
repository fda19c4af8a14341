"""Pictures of shapes, drawn: a data set of any size that needs no files, with the object known exactly."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from backlight.core.errors import InputError
from backlight.core.random import Random
from backlight.data.drawing import OUTLINES, TEXTURES


class Drawn(NamedTuple):
    """Pictures uint8 [A,3,H,W], labels int64 [A], and where the object and the patch are, bool [A,H,W]."""

    images: Tensor
    labels: Tensor
    object: Tensor
    patch: Tensor


@dataclass(frozen=True)
class Shapes:
    """Describe a data set of `n` square pictures of `size` pixels; picture i is a function of (seed, i) only.

    Class k is the outline k % 10 in the texture k // 10, so up to 10 classes differ by outline alone. Place,
    scale, rotation, colors, background gradient and noise are random. With `shortcut` > 0 each picture has a
    small colored patch in a corner: with that probability its hue is that of the picture's class, else that of
    any class, so `shortcut` is the correlation (Cramer's V) between patch and class; 0 draws no patch.

    Raises InputError for values that cannot be drawn.

    >>> shapes = Shapes(n=100, size=32, classes=12)
    >>> shapes.label_names[:2], shapes.label_names[11]
    (('circle', 'square'), 'striped square')
    >>> shapes.draw(torch.tensor([3, 14])).images.shape
    torch.Size([2, 3, 32, 32])
    """

    n: int = 2000
    size: int = 32
    classes: int = 8
    shortcut: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        limits = {"n": (1, 10**6), "size": (8, 4096), "classes": (2, 100), "shortcut": (0, 1)}
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise InputError(f"shapes with {name}={getattr(self, name)}", expected=f"{low} to {high}")

    @property
    def label_names(self) -> tuple[str, ...]:
        """Name the classes, such as "circle" or "striped square"."""
        names = (f"{texture} {outline}" for texture in TEXTURES for outline in OUTLINES)
        return tuple(name.removeprefix("plain ") for name in names)[: self.classes]

    def labels(self, rows: Tensor) -> Tensor:
        """Return the classes of these pictures, int64 [A]; the classes take turns."""
        return rows % self.classes

    def draw(self, rows: Tensor) -> Drawn:
        """Draw the pictures with these numbers, int64 [A]."""
        random = Random(("shapes", self.seed), rows)
        labels = self.labels(rows)
        # In double precision the last bit, which may depend on the batch, practically never reaches 8 bits.
        u, v, radius = _local_coordinates(random, self.size)
        distance, mixture = _paint(labels, u, v, random)
        cover = (0.5 - distance * radius[:, None, None] * self.size).clamp(0, 1)[:, None]
        ground, first, second = _colors(random, self.size)
        paint = first + (second - first) * mixture[:, None]
        picture = ground + (paint - ground) * cover
        picture = picture + 0.1 * (random.uniform(1, self.size, self.size, stream="noise").double() - 0.5)
        patch = torch.zeros_like(u, dtype=torch.bool)
        if self.shortcut > 0:
            patch, hue = self._patch(random, labels)
            picture = torch.where(patch[:, None], _hues(hue)[:, :, None, None], picture)
        images = (picture.clamp(0, 1) * 255).round().to(torch.uint8)
        return Drawn(images, labels, (cover[:, 0] >= 0.5) & ~patch, patch)

    def _patch(self, random: Random, labels: Tensor) -> tuple[Tensor, Tensor]:
        honest = random.uniform(stream="honest") < self.shortcut
        shown = torch.where(honest, labels, random.integer(self.classes, stream="shown"))
        side = max(3, self.size // 8)
        corner = random.integer(2, 2, stream="corner") * (self.size - side - 2) + 1
        grid = torch.arange(self.size)
        inside = (grid >= corner[..., None]) & (grid < corner[..., None] + side)
        return inside[:, 0, :, None] & inside[:, 1, None, :], shown.double() / self.classes


def _local_coordinates(random: Random, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Turn the pixel grid into each object's own coordinates; also return the radius in picture widths."""
    draws = random.uniform(4, stream="place").double()
    radius = 0.24 + 0.12 * draws[:, 0]
    margin = 1.15 * radius[:, None]  # the farthest corner of any outline
    center = margin + (1 - 2 * margin) * draws[:, 1:3]
    turn = 2 * math.pi * draws[:, 3]
    grid = (torch.arange(size, dtype=torch.float64) + 0.5) / size
    x = (grid[None, None, :] - center[:, 0, None, None]) / radius[:, None, None]
    y = (grid[None, :, None] - center[:, 1, None, None]) / radius[:, None, None]
    cos, sin = turn.cos()[:, None, None], turn.sin()[:, None, None]
    return cos * x + sin * y, cos * y - sin * x, radius


def _paint(labels: Tensor, u: Tensor, v: Tensor, random: Random) -> tuple[Tensor, Tensor]:
    distance, mixture = torch.empty_like(u), torch.empty_like(u)
    outlines, textures = list(OUTLINES.values()), list(TEXTURES.values())
    for label in labels.unique().tolist():
        rows = (labels == label).nonzero()[:, 0]
        distance[rows] = outlines[label % 10](u[rows], v[rows])
        mixture[rows] = textures[label // 10](u[rows], v[rows], random.take(rows))
    return distance, mixture


def _colors(random: Random, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Draw the background [A,3,H,W] and the object's two colors [A,3,1,1], far apart in lightness."""
    lightness = random.uniform(4, stream="lightness").double()
    ground, first, second = 0.05 + 0.25 * lightness[:, 0], 0.75 + 0.2 * lightness[:, 1], 0.4 + 0.1 * lightness[:, 2]
    light = lightness[:, 3:] < 0.5
    levels = torch.stack([ground, first, second], 1)
    levels = torch.where(light, 1 - levels, levels)
    tint = (_hues(random.uniform(3, stream="hue").double()) - 0.5) * 0.3
    colors = (levels[:, :, None] + tint)[..., None, None]
    slope = (random.uniform(2, stream="slope").double() - 0.5) * 0.3
    grid = torch.linspace(-1, 1, size, dtype=torch.float64)
    gradient = slope[:, 0, None, None] * grid + slope[:, 1, None, None] * grid[:, None]
    return colors[:, 0] + gradient[:, None], colors[:, 1], colors[:, 2]


def _hues(hue: Tensor) -> Tensor:
    """Turn hues [...] in [0,1) into saturated colors [...,3]."""
    wheel = (hue[..., None] * 6 + torch.tensor([0.0, 4.0, 2.0], dtype=hue.dtype)).remainder(6)
    return ((wheel - 3).abs() - 1).clamp(0, 1)
