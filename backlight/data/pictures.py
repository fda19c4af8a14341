"""Collections of pixels: in memory, some of them, or several behind one another; read a few at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from backlight.core.errors import DataError, FileError


class PictureSource(Protocol):
    """Return the pixels of numbered pictures."""

    def __len__(self) -> int:
        """Return how many pictures there are."""

    def one(self, row: int) -> Tensor:
        """Return one picture, uint8 [C,H,W]; raises `FileError` when it is broken."""

    def read(self, rows: Sequence[int]) -> Tensor:
        """Return some pictures of one size, uint8 [A,C,H,W]."""


@dataclass(frozen=True, eq=False, repr=False)
class Memory:
    """Hold all pictures as one tensor, uint8 [N,C,H,W]."""

    images: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def one(self, row: int) -> Tensor:
        """Return one picture, uint8 [C,H,W]."""
        return self.images[row]

    def read(self, rows: Sequence[int]) -> Tensor:
        """Return some pictures, uint8 [A,C,H,W]."""
        return self.images[torch.as_tensor(rows, dtype=torch.int64)]


@dataclass(frozen=True, eq=False, repr=False)
class Selected:
    """Keep some of the pictures, in this order: int64 [A]."""

    inner: PictureSource
    rows: Tensor

    def __len__(self) -> int:
        return len(self.rows)

    def one(self, row: int) -> Tensor:
        """Return one picture, uint8 [C,H,W]."""
        return self.inner.one(int(self.rows[row]))

    def read(self, rows: Sequence[int]) -> Tensor:
        """Return some pictures, uint8 [A,C,H,W]."""
        return self.inner.read(self.rows[torch.as_tensor(rows, dtype=torch.int64)].tolist())


@dataclass(frozen=True, eq=False, repr=False)
class Joined:
    """Put several collections of pictures one behind the other."""

    parts: tuple[PictureSource, ...]

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def one(self, row: int) -> Tensor:
        """Return one picture, uint8 [C,H,W]."""
        for part in self.parts:
            if row < len(part):
                return part.one(row)
            row -= len(part)
        raise IndexError(row)

    def read(self, rows: Sequence[int]) -> Tensor:
        """Return some pictures, uint8 [A,C,H,W]."""
        wanted = torch.as_tensor(rows, dtype=torch.int64)
        result: Tensor | None = None
        start = 0
        for part in self.parts:
            here = ((wanted >= start) & (wanted < start + len(part))).nonzero()[:, 0]
            if len(here):
                pixels = part.read((wanted[here] - start).tolist())
                result = pixels.new_empty(len(wanted), *pixels.shape[1:]) if result is None else result
                if result.shape[1:] != pixels.shape[1:]:
                    raise _sizes_differ({tuple(result.shape[1:]), tuple(pixels.shape[1:])})
                result[here] = pixels
            start += len(part)
        return self.parts[0].read([]) if result is None else result


def select(pictures: PictureSource, rows: Tensor) -> PictureSource:
    """Keep some pictures, int64 [A], without copying them and without wrapping twice."""
    if isinstance(pictures, Selected):
        return Selected(pictures.inner, pictures.rows[rows])
    return Selected(pictures, rows)


def stack(images: list[Tensor], channels: int = 3) -> Tensor:
    """Stack pictures of one size; raises `DataError` when sizes differ."""
    if not images:
        return torch.zeros(0, channels, 0, 0, dtype=torch.uint8)
    shapes = {tuple(image.shape) for image in images}
    if len(shapes) > 1:
        raise _sizes_differ(shapes)
    return torch.stack(images)


def _sizes_differ(shapes: set[tuple[int, ...]]) -> DataError:
    shown = ", ".join(f"{shape[-2]}x{shape[-1]}" for shape in sorted(shapes)[:3])
    return DataError(f"pictures of different sizes: {shown}", expected="one size", hint="give a size, as in --size 64")


def try_one(pictures: PictureSource, row: int) -> Tensor | FileError:
    """Return one picture, or the error that says why it is broken."""
    try:
        return pictures.one(row)
    except FileError as error:
        return error
