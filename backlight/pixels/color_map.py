"""Pictures recolored by a map of colors: equal pixels stay equal (ReColorAdv), and how far a color moved."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from backlight.core.errors import InputError
from backlight.pixels.bounded import Bounded
from backlight.pixels.geometry import length

_ALIKE = 2e-6  # what float32 makes of one color


@dataclass(frozen=True, repr=False, eq=False)
class ColorMap(Bounded):
    """Recolor pictures `[B,C,H,W]` by a function of the color alone (Laidlaw and Feizi 2019, arXiv:1906.00001).

    The map is trilinear between the `points` per channel of a grid of RGB, each of which moves by at most `bound` in
    every channel, in pixel units; with one channel it is a curve. The authors' map lives in CIELUV; in RGB, where
    pictures are held, a map that moves nothing is exact, and rounding to 8 bits stays within the bound.

    Raises InputError for pictures of more than 3 channels, and for fewer than 2 points.

    >>> from backlight.core.random import Random
    >>> moved, row = ColorMap(torch.rand(1, 3, 4, 4), bound=0.06, points=8), torch.tensor([0])
    >>> params = moved.start(row, Random(0, [0]))
    >>> params.shape, torch.equal(moved.images(params, row), moved.originals)
    (torch.Size([1, 3, 8, 8, 8]), True)
    """

    points: int = 16

    def __post_init__(self) -> None:
        channels = self.originals.shape[1]
        if channels > 3:
            raise InputError(f"a map of colors for pictures of {channels} channels", expected="1 to 3")
        if self.points < 2:
            raise InputError(f"{self.points} points for each channel of a map of colors", expected="2 or more")

    def shape(self) -> tuple[int, ...]:
        """Return (C, blue, green, red): points per channel, a single one where there is no such channel."""
        channels = self.originals.shape[1]
        return channels, *(1,) * (3 - channels), *(self.points,) * channels

    def change(self, originals: Tensor, field: Tensor) -> Tensor:
        """Add to every color what the grid `[A,C,b,g,r]` says there."""
        colors = F.pad(2 * originals.permute(0, 2, 3, 1) - 1, (0, 3 - originals.shape[1]))
        moved = F.grid_sample(field, colors[:, None], mode="bilinear", padding_mode="border", align_corners=True)
        return (originals + moved[:, :, 0]).clamp(0, 1)


def largest_recoloring(images: Tensor, originals: Tensor) -> Tensor:
    """Measure how far a map of colors moves any color of originals `[A,C,H,W]` to make images: float64 `[A]`.

    In the largest channel, in pixel units; infinite where one color became several, which no map does.

    >>> originals = torch.tensor([0.2, 0.2, 0.6]).view(1, 1, 1, 3)
    >>> images = torch.tensor([[0.3, 0.3, 0.6], [0.3, 0.2, 0.6]]).view(2, 1, 1, 3)
    >>> largest_recoloring(images, originals.expand(2, 1, 1, 3))
    tensor([0.1000,    inf], dtype=torch.float64)
    """
    far = length(images.double() - originals.double(), "linf")
    mapped = torch.tensor([_is_map(*one) for one in zip(originals, images, strict=True)], dtype=torch.bool)
    return torch.where(mapped.to(far.device), far, torch.inf)


def _is_map(original: Tensor, image: Tensor) -> bool:
    """Whether pixels of one color are of one color still: `[C,H,W]` each."""
    colors, places = original.flatten(1).T.unique(dim=0, return_inverse=True)
    pixels = image.flatten(1).T.double()
    where = places.view(-1, 1).expand_as(pixels)
    highest = pixels.new_full(colors.shape, -torch.inf).scatter_reduce(0, where, pixels, "amax")
    lowest = pixels.new_full(colors.shape, torch.inf).scatter_reduce(0, where, pixels, "amin")
    return bool((highest - lowest <= _ALIKE).all())
