"""Square attack: random squares, kept where they help; no gradients (Andriushchenko et al. 2020, arXiv:1912.00049)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from backlight.core.random import Random
from backlight.pixels import Observation, Rule, Update
from backlight.pixels.describe import Brief
from backlight.pixels.geometry import length, per_image
from backlight.pixels.rule import State

_HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
_FLOOR = 1e-12


def side_of(turn: int, height: int, width: int, share: float = 0.8, least: int = 1) -> int:
    """Return the side of the square at a turn: its share of the image halves after 10, 50, 200, ... turns.

    >>> [side_of(turn, 32, 32) for turn in (0, 11, 51, 201, 501, 1001, 2001, 4001)]
    [29, 20, 14, 10, 7, 5, 4, 3]
    """
    share = share / 2 ** sum(turn > mark for mark in _HALVINGS)
    return min(max(round(math.sqrt(share * height * width)), least), height, width)


@dataclass(frozen=True, repr=False)
class Stripes(Brief):
    """Start with vertical stripes: eps up or down for each channel and column.

    >>> start = Stripes(0.1)(torch.zeros(1, 3, 4, 4), torch.arange(1), Random(0, [0]))
    >>> bool((start[:, :, :1] == start).all())
    True
    """

    eps: float

    def __call__(self, images: Tensor, rows: Tensor, random: Random) -> Tensor:
        """Return start points for originals `[A,C,H,W]`; the loop projects them."""
        return images + self.eps * random.sign(images.shape[1], 1, images.shape[3], dtype=images.dtype)


@dataclass(frozen=True, repr=False)
class Square(Rule):
    """Propose a square of one color change per channel, 2 eps up or down, and keep it where the value rises (linf).

    Every image draws its own place and signs, so results do not depend on the batch.

    >>> Square(8 / 255).rejects
    True
    """

    eps: float
    share: float = 0.8
    pixels = True
    rejects = True

    def wants_gradient(self, t: int) -> bool:
        """Never ask for gradients."""
        return False

    def init(self, params: Tensor, rows: Tensor) -> State:
        """Start with nothing accepted."""
        return {"kept": params, "value": params.new_full((len(params),), -torch.inf)}

    def step(self, state: State, seen: Observation) -> Update:
        """Accept or reject what was looked at, and propose the next square."""
        state = accept(state, seen)
        kept = state["kept"]
        side = side_of(seen.t, kept.shape[2], kept.shape[3], self.share)
        # One draw for place and signs: drawing costs more than the arithmetic.
        drawn = seen.random.uniform(2 + kept.shape[1], stream="square", dtype=torch.float64)
        inside = within(drawn[:, :2], kept, side)
        signs = torch.where(drawn[:, 2:] < 0.5, -1.0, 1.0).to(kept.dtype)[:, :, None, None]
        return Update(torch.where(inside, kept + (2 * self.eps) * signs, kept), state)


def accept(state: State, seen: Observation) -> State:
    """Keep what was looked at where the value rose or it succeeded."""
    better = (seen.value > state["value"]) | seen.success
    return state | {
        "kept": torch.where(per_image(better, seen.params), seen.params, state["kept"]),
        "value": torch.where(better, seen.value, state["value"]),
    }


def window(random: Random, like: Tensor, side: int, stream: str) -> Tensor:
    """Draw one square per image, as a mask `[A,1,H,W]` of a given side anywhere inside."""
    return within(random.uniform(2, stream=stream, dtype=torch.float64), like, side)


def within(drawn: Tensor, like: Tensor, side: int) -> Tensor:
    """Return the square that two numbers in [0,1) per image `[A,2]` place, as a mask `[A,1,H,W]`."""
    height, width = like.shape[2:]
    places = corners(drawn, like, side)
    rows, columns = torch.arange(height, device=like.device), torch.arange(width, device=like.device)
    down = (rows >= places[:, :1]) & (rows < places[:, :1] + side)
    across = (columns >= places[:, 1:]) & (columns < places[:, 1:] + side)
    return down[:, None, :, None] & across[:, None, None, :]


def corners(drawn: Tensor, like: Tensor, side: int) -> Tensor:
    """Return the upper left corner (row, column) that two numbers in [0,1) per image `[A,2]` place, int64 `[A,2]`."""
    free = [max(extent - side, 1) for extent in like.shape[2:]]
    return (drawn * torch.tensor(free, dtype=drawn.dtype, device=drawn.device)).long()


def bump(side: int, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> Tensor:
    """Draw the shape of an l2 update, `[side, side]` of l2 length 1: one half up, the other half down.

    Each half is a sum of nested rectangles weighted by 1, 1/4, 1/9, ... towards the center's surroundings.

    >>> bump(5).shape, round(float(bump(5).square().sum()), 4)
    (torch.Size([5, 5]), 1.0)
    """
    shape = torch.zeros(side, side, dtype=dtype, device=device)
    shape[: side // 2] = _rectangles(side // 2, side).to(shape)
    shape[side // 2 :] = -_rectangles(side - side // 2, side).to(shape)
    return shape / shape.square().sum().sqrt().clamp(min=_FLOOR)


def _rectangles(height: int, width: int) -> Tensor:
    shape = torch.zeros(height, width)
    top, left = height // 2, width // 2
    for ring in range(max(height // 2 + 1, width // 2 + 1)):
        bottom, right = min(top + 2 * ring + 1, height), min(left + 2 * ring + 1, width)
        shape[max(top, 0) : bottom, max(left, 0) : right] += 1.0 / (ring + 1) ** 2
        top, left = top - 1, left - 1
    return shape / shape.square().sum().sqrt().clamp(min=_FLOOR)


def signed_bumps(random: Random, images: Tensor, side: int, stream: str) -> Tensor:
    """Draw one bump per image and channel, turned or not and with a sign each: `[A,C,side,side]`."""
    shape = bump(side, images.dtype, images.device)
    turned = random.integer(2, 1, 1, 1, stream=(stream, "turned")).bool()
    signs = random.sign(images.shape[1], 1, 1, stream=(stream, "sign"), dtype=images.dtype)
    return torch.where(turned, shape.T, shape) * signs


@dataclass(frozen=True, repr=False)
class Tiles(Brief):
    """Start with a grid of bumps, five along each side, of l2 length eps together.

    >>> length(Tiles(0.5)(torch.zeros(1, 3, 16, 16), torch.arange(1), Random(0, [0])), "l2")
    tensor([0.5000])
    """

    eps: float

    def __call__(self, images: Tensor, rows: Tensor, random: Random) -> Tensor:
        """Return start points for originals `[A,C,H,W]`; the loop projects them."""
        height, width = images.shape[2:]
        side = max(min(height, width) // 5, 1)
        offset, first = torch.zeros_like(images), max((height - side * 5) // 2, 0)
        for top in range(first, height - side + 1, side):
            for left in range(first, width - side + 1, side):
                tile = signed_bumps(random, images, side, f"tile {top} {left}")
                offset[:, :, top : top + side, left : left + side] = tile
        return images + self.eps * offset / per_image(length(offset, "l2").clamp(min=_FLOOR), offset)


@dataclass(frozen=True, repr=False, eq=False)
class SquareL2(Square):
    """Update l2 mass from one square to another, shaped as a bump, and keep it where the value rises.

    `images` are the originals `[B,...]`.

    >>> SquareL2(0.5, images=torch.zeros(1, 3, 8, 8)).wants_gradient(0)
    False
    """

    images: Tensor = None  # type: ignore[assignment]

    def init(self, params: Tensor, rows: Tensor) -> State:
        """Remember the originals."""
        return super().init(params, rows) | {"original": self.images[rows]}

    def step(self, state: State, seen: Observation) -> Update:
        """Accept or reject what was looked at, and propose to move mass."""
        state = accept(state, seen)
        offset = state["kept"] - state["original"]
        side = side_of(seen.t, offset.shape[2], offset.shape[3], self.share, least=3)
        side = min(side + 1 - side % 2, *offset.shape[2:])
        offset = self.moved(offset, side, seen.random)
        scale = self.eps / length(offset, "l2").clamp(min=_FLOOR)
        return Update(state["original"] + offset * per_image(scale, offset), state)

    def moved(self, offset: Tensor, side: int, random: Random) -> Tensor:
        """Return offsets `[A,C,H,W]` whose second window's mass went into a bump in the first."""
        channels = offset.shape[1]
        into = corners(random.uniform(2, stream="into", dtype=torch.float64), offset, side)
        emptied = window(random, offset, side, "emptied")
        rows, columns = (into[:, k, None] + torch.arange(side, device=offset.device) for k in (0, 1))
        place = torch.arange(len(offset), device=offset.device)[:, None, None, None]
        channel = torch.arange(channels, device=offset.device)[None, :, None, None]
        at = (place, channel, rows[:, None, :, None], columns[:, None, None, :])
        old = offset[at]
        filled = torch.zeros_like(offset[:, :1], dtype=torch.bool)
        filled[place, torch.zeros_like(channel[:, :1]), at[2], at[3]] = True
        mass = (offset * (filled | emptied)).square().sum((2, 3), keepdim=True)
        free = (self.eps**2 - per_image(length(offset, "l2"), offset) ** 2).clamp(min=0) / channels
        new = signed_bumps(random, offset, side, "bump") + old / (
            old.square().sum((2, 3), keepdim=True).sqrt() + _FLOOR
        )
        new = new / (new.square().sum((2, 3), keepdim=True).sqrt() + _FLOOR) * (free + mass).sqrt()
        offset = torch.where(emptied, 0.0, offset)
        offset[at] = new
        return offset
