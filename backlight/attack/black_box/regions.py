"""What Sparse-RS changes and how it tries another: any pixels, one square patch, or a frame along the edges."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from backlight.attack.black_box.queries import Place
from backlight.core.random import Random

_MARKS = (0, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
_DIVISORS = (1, 2, 4, 5, 6, 8, 10, 12, 15, 20)
_RUN = 10_000  # queries that these marks are meant for
_MOVES = 4  # every so many tries a patch moves instead
_REACH = 0.75  # of the height, that a patch moves by at first


class Draft(Protocol):
    """One change of a picture, and the next one to try; both are the same for the same place and turn."""

    @classmethod
    def begin(cls, place: Place, count: int) -> Draft:
        """Return the first draft, of at most so many pixels."""
        ...

    def picture(self, original: Tensor) -> Tensor:
        """Return the picture `[C,H,W]` with the change."""
        ...

    def changed(self, place: Place, turn: int) -> Draft:
        """Return another draft that differs a little, the less the later the turn."""
        ...


def share_at(turn: int, queries: int, first: float) -> float:
    """Return which share is tried anew at a turn: `first` at the beginning, less and less, a twentieth at the end.

    >>> [round(0.3 / share_at(turn, 10_000, 0.3)) for turn in (0, 1, 51, 201, 501, 1001, 2001, 4001, 6001, 8001)]
    [1, 2, 4, 5, 6, 8, 10, 12, 15, 20]
    """
    scaled = turn * _RUN / queries
    return first / _DIVISORS[sum(scaled > mark for mark in _MARKS)]


def corner_colors(random: Random, channels: int, *shape: int, like: Tensor) -> Tensor:
    """Draw colors `[C,*shape]` whose every channel is 0 or 1.

    >>> corner_colors(Random(0, [7]), 3, 50, like=torch.zeros(1)).unique().tolist()
    [0.0, 1.0]
    """
    return ((random.sign(channels, *shape, stream="colors", dtype=like.dtype) + 1) / 2)[0]


def other_than(colors: Tensor, old: Tensor) -> Tensor:
    """Turn colors `[C,...]` around that would leave their pixel as it is: a query that asks nothing new.

    >>> other_than(torch.tensor([[0.0, 1.0]]), torch.tensor([[0.0, 0.5]]))
    tensor([[1., 1.]])
    """
    return torch.where((colors == old).all(0), 1 - colors, colors)


@dataclass(frozen=True, eq=False)
class Pixels:
    """Some pixels anywhere, by their places in the flattened picture `[k]`, with their colors `[C,k]`."""

    places: Tensor
    colors: Tensor

    @classmethod
    def begin(cls, place: Place, count: int) -> Pixels:
        """Choose pixels at random, only where any value may change."""
        chosen = cls._choose(place, place.random(), count, taken=None)
        return cls(chosen, cls._paint(place, place.random(), chosen))

    def picture(self, original: Tensor) -> Tensor:
        """Return the picture `[C,H,W]` with the change."""
        found = original.clone()
        found.flatten(1)[:, self.places] = self.colors
        return found

    def changed(self, place: Place, turn: int) -> Pixels:
        """Let go of some pixels and take as many others, in new colors; where there are none, only color anew."""
        random = place.random(turn)
        count = max(int(share_at(turn, place.queries, 0.3) * len(self.places)), 1)
        moved = random.uniform(len(self.places), stream="let go", dtype=torch.float64)[0].argsort()[:count]
        taken = self._choose(place, random, count, taken=self.places)
        places, colors = self.places.clone(), self.colors.clone()
        moved = moved[: len(taken)] if len(taken) else moved
        if len(taken):
            places[moved] = taken
            colors[:, moved] = self._paint(place, random, taken)
        else:
            colors[:, moved] = other_than(self._paint(place, random, places[moved]), colors[:, moved])
        return Pixels(places, colors)

    @staticmethod
    def _choose(place: Place, random: Random, count: int, taken: Tensor | None) -> Tensor:
        free = torch.ones_like(place.original[0], dtype=torch.bool) if place.mask is None else place.mask.any(0)
        drawn = random.uniform(free.numel(), stream="take", dtype=torch.float64)[0]
        drawn[~free.flatten()] = torch.inf
        if taken is not None:
            drawn[taken] = torch.inf
        found = drawn.topk(min(count, len(drawn)), largest=False)
        return found.indices[found.values < torch.inf]

    @staticmethod
    def _paint(place: Place, random: Random, places: Tensor) -> Tensor:
        colors = corner_colors(random, len(place.original), len(places), like=place.original)
        return other_than(colors, place.original.flatten(1)[:, places])


@dataclass(frozen=True, eq=False)
class Patch:
    """One square of colors `[C,s,s]` with its upper left corner at a row and a column."""

    row: int
    column: int
    colors: Tensor

    @classmethod
    def begin(cls, place: Place, count: int) -> Patch:
        """Put the largest square of at most so many pixels at a random place, in squares of random colors."""
        channels, height, width = place.original.shape
        side, random = min(math.isqrt(count), height, width), place.random()
        row, column = (_below(random, extent - side + 1, axis) for axis, extent in enumerate((height, width)))
        return cls(row, column, _squares(random, channels, side, side, like=place.original))

    def picture(self, original: Tensor) -> Tensor:
        """Return the picture `[C,H,W]` with the change."""
        found, side = original.clone(), self.colors.shape[1]
        found[:, self.row : self.row + side, self.column : self.column + side] = self.colors
        return found

    def changed(self, place: Place, turn: int) -> Patch:
        """Color a square of the patch anew, or every fourth time move it, less far from turn to turn."""
        random, side = place.random(turn), self.colors.shape[1]
        height, width = place.original.shape[1:]
        reach = int(max(1 - turn / place.queries, 0.0) * _REACH * height)
        if turn % _MOVES == 0 and reach:
            down, across = (reach * (2 * random.uniform(2, stream="move", dtype=torch.float64)[0] - 1)).long().tolist()
            row, column = self.row + down, self.column + across
            return replace(self, row=min(max(row, 0), height - side), column=min(max(column, 0), width - side))
        size = max(int(math.sqrt(share_at(turn, place.queries, 0.4)) * side), 1)
        row, column = (_below(random, side - size + 1, axis) for axis in (0, 1))
        return replace(self, colors=_square(self.colors, random, row, column, size))


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame along the edges, bool `[H,W]`, with colors `[C,H,W]` of which only those within it are shown."""

    within: Tensor
    colors: Tensor

    @classmethod
    def begin(cls, place: Place, count: int) -> Frame:
        """Take the widest frame of at most so many pixels, in squares of random colors."""
        channels, height, width = place.original.shape
        within = torch.ones(height, width, dtype=torch.bool, device=place.original.device)
        wide = frame_width(count, height, width)
        within[wide : height - wide, wide : width - wide] = False
        return cls(within, _squares(place.random(), channels, height, width, like=place.original))

    def picture(self, original: Tensor) -> Tensor:
        """Return the picture `[C,H,W]` with the change."""
        return torch.where(self.within, self.colors, original)

    def changed(self, place: Place, turn: int) -> Frame:
        """Color a square anew that begins at some pixel of the frame."""
        random, places = place.random(turn), self.within.nonzero()
        size = max(int(math.sqrt(share_at(turn, place.queries, 0.5) * len(places))), 1)
        row, column = places[_below(random, len(places), 0)].tolist()
        return replace(self, colors=_square(self.colors, random, row, column, size))


def frame_width(count: int, height: int, width: int) -> int:
    """Return the width of the widest frame of at most so many pixels, 0 where not even one of width 1 is.

    >>> frame_width(124, 32, 32), frame_width(123, 32, 32), frame_width(16, 4, 4)
    (1, 0, 2)
    """
    widths = range(1, (min(height, width) + 1) // 2 + 1)
    return max((wide for wide in widths if frame_size(wide, height, width) <= count), default=0)


def frame_size(wide: int, height: int, width: int) -> int:
    """Count the pixels of a frame.

    >>> frame_size(1, 32, 32)
    124
    """
    return height * width - max(height - 2 * wide, 0) * max(width - 2 * wide, 0)


def _below(random: Random, high: int, axis: int) -> int:
    return int(random.integer(max(high, 1), stream=("below", axis))[0])


def _square(colors: Tensor, random: Random, row: int, column: int, size: int) -> Tensor:
    found, (channels,) = colors.clone(), colors.shape[:1]
    color, old = corner_colors(random, channels, 1, 1, like=colors), found[:, row : row + 1, column : column + 1]
    # A larger square in the color that one of its corners has already still changes the others.
    found[:, row : row + size, column : column + size] = other_than(color, old) if size == 1 else color
    return found


def _squares(random: Random, channels: int, height: int, width: int, *, like: Tensor) -> Tensor:
    """Draw colors `[C,h,w]`: five squares along the shorter side."""
    side = max(min(height, width) // 5, 1)
    coarse = corner_colors(random, channels, -(-height // side), -(-width // side), like=like)
    return coarse.repeat_interleave(side, 1).repeat_interleave(side, 2)[:, :height, :width].contiguous()
