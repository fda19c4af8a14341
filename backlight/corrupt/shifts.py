"""Small changes that people hardly see: shifts, turns, zooms, light, compression. For stability without labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from backlight.core.random import Random
from backlight.corrupt.digital import jpeg, sample

Change = Callable[[Tensor, float, Random], Tensor]
"""From pictures `[A,C,H,W]` in [0,1], an amount and keyed random numbers to pictures."""


@dataclass(frozen=True)
class Shift:
    """A small change: its amounts, how one is told, and whether it is in pixels of the picture.

    >>> SHIFTS["translate"].amounts_for(32)
    (1, 3)
    """

    name: str
    change: Change
    amounts: tuple[float, ...]
    words: str
    pixels: bool = False

    def amounts_for(self, side: int) -> tuple[float, ...]:
        """Return the amounts that leave most of a picture of this shorter side in view: at most a seventh of it."""
        return tuple(one for one in self.amounts if not self.pixels or one <= max(1, side / 7))


def translate(images: Tensor, pixels: float, random: Random) -> Tensor:
    """Move each picture by `pixels` in a direction of its own, mirrored beyond its edges."""
    angles = random.uniform(stream="direction") * (2 * torch.pi)
    return _warp(
        images, torch.zeros_like(angles), torch.ones_like(angles), pixels * angles.sin(), pixels * angles.cos()
    )


def shift_by_one(images: Tensor, pixels: float, random: Random) -> Tensor:
    """Move each picture by whole pixels up, down, left or right (shift consistency: Zhang 2019, arXiv:1904.11486)."""
    way = random.integer(4, stream="way")
    down = torch.tensor([1.0, -1.0, 0.0, 0.0])[way] * pixels
    across = torch.tensor([0.0, 0.0, 1.0, -1.0])[way] * pixels
    return _warp(images, torch.zeros_like(down), torch.ones_like(down), down, across)


def rotate(images: Tensor, degrees: float, random: Random) -> Tensor:
    """Turn each picture by `degrees`, either way."""
    angles = torch.deg2rad(degrees * random.sign())
    zero = torch.zeros_like(angles)
    return _warp(images, angles, zero + 1, zero, zero)


def scale(images: Tensor, share: float, random: Random) -> Tensor:
    """Enlarge or shrink each picture by a share of its size, around its centre."""
    factor = 1 + share * random.sign()
    zero = torch.zeros_like(factor)
    return _warp(images, zero, factor, zero, zero)


def brighten(images: Tensor, amount: float, random: Random) -> Tensor:
    """Add or take away light: the same amount of all values."""
    return (images + amount * random.sign().view(-1, 1, 1, 1)).clamp(0, 1)


def compress(images: Tensor, quality: float, random: Random) -> Tensor:
    """Save as JPEG of this quality and read back."""
    return jpeg(images, (quality,), random)


def _warp(images: Tensor, angles: Tensor, factor: Tensor, down: Tensor, across: Tensor) -> Tensor:
    height, width = images.shape[2:]
    y = (torch.arange(height) - (height - 1) / 2).view(1, -1, 1)
    x = (torch.arange(width) - (width - 1) / 2).view(1, 1, -1)
    sin, cos = (one.view(-1, 1, 1) / factor.view(-1, 1, 1) for one in (angles.sin(), angles.cos()))
    y, x = y - down.view(-1, 1, 1), x - across.view(-1, 1, 1)
    rows, columns = cos * y + sin * x + (height - 1) / 2, cos * x - sin * y + (width - 1) / 2
    return sample(images, rows, columns, "reflect")


SHIFTS: Mapping[str, Shift] = {
    one.name: one
    for one in (
        Shift("shift", shift_by_one, (1,), "{:g} px"),
        Shift("translate", translate, (1, 3, 10, 30), "{:g} px", pixels=True),
        Shift("rotate", rotate, (1, 2.5, 5), "{:g} degrees"),
        Shift("scale", scale, (0.03, 0.1), "{:.0%} of the size"),
        Shift("brightness", brighten, (0.05, 0.1), "{:.0%} of the range"),
        Shift("jpeg", compress, (90, 75, 50), "quality {:g}"),
    )
}
"""Every small change of pictures at the input size; how a photograph is resized to it is changed when it is read."""
