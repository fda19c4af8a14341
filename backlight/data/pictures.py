"""Where the pixels of a data set come from: memory, files, encoded bytes or a drawing; read a few at a time."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import torch
from PIL import Image
from torch import Tensor

from backlight.core.errors import DataError, FileError
from backlight.core.reading import digest
from backlight.data.shapes import Shapes
from backlight.images import DECODING, Resize, decode_picture, open_picture, to_levels

THREADS = min(8, os.cpu_count() or 1)
DRAWN_PIXELS = 2**20
SMALL = 128 * 128  # below it threads wait for each other longer than they decode


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
class Decoded:
    """Decode pictures when they are asked for, several at a time on several threads.

    `fetch(row, keep)` opens one as upright RGB, of which `keep` bytes a pixel will be made, or raises `FileError`.
    With `resize` all come out in its size, otherwise they must have one size by themselves to be read together.
    `stamp(row)` tells one picture from another without decoding it. What is decoded at once is bounded by the bytes
    that it takes, not by a count: threads wait for each other (see `images.budget`).
    """

    count: int
    fetch: Callable[[int, int], Image.Image]
    resize: Resize | None = None
    channels: int = 3
    stamp: Callable[[int], str] | None = None

    def __len__(self) -> int:
        return self.count

    def one(self, row: int) -> Tensor:
        """Return one picture, uint8 [C,H,W]; raises `FileError` when it is broken."""
        return self._decoded(row)[0]

    def read(self, rows: Sequence[int]) -> Tensor:
        """Return some pictures, uint8 [A,C,H,W]; raises `DataError` when their sizes differ."""
        if not len(rows):
            return stack([], self.channels)
        first, size = self._decoded(int(rows[0]))
        rest = map(int, rows[1:])
        if size < SMALL:
            return stack([first, *map(self.one, rest)])
        with ThreadPoolExecutor(THREADS) as pool:
            return stack([first, *pool.map(self.one, rest)])

    def _decoded(self, row: int) -> tuple[Tensor, int]:
        """Return a picture as it is wanted, and how many pixels it had."""
        with DECODING.shared():
            # A whole picture becomes a tensor beside itself.
            picture = self.fetch(row, self.channels if self.resize is None else 0)
            size = picture.width * picture.height
            if self.resize is not None:
                picture, _ = self.resize.resize(picture)
            return _levels(picture, self.channels), size


@dataclass(frozen=True, eq=False, repr=False)
class Drawing:
    """Draw pictures of shapes, or the masks that go with them (`part` is "object" or "patch")."""

    shapes: Shapes
    part: str = "images"

    def __len__(self) -> int:
        return self.shapes.n

    def one(self, row: int) -> Tensor:
        """Return one picture, uint8 [3,H,W], or one mask, uint8 0 or 1 [1,H,W]."""
        return self.read([row])[0]

    def read(self, rows: Sequence[int]) -> Tensor:
        """Return some pictures, uint8 [A,3,H,W], or masks, uint8 0 or 1 [A,1,H,W]."""
        wanted = torch.as_tensor(rows, dtype=torch.int64)
        # Drawing holds about 200 bytes a pixel, so large pictures are drawn a few at a time.
        parts = wanted.split(max(1, DRAWN_PIXELS // self.shapes.size**2))
        drawn: Tensor = torch.cat([getattr(self.shapes.draw(part), self.part) for part in parts])
        return drawn if self.part == "images" else drawn[:, None].to(torch.uint8)


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


@dataclass(frozen=True, eq=False, repr=False)
class Fitted:
    """Bring pictures to a classifier's input size by its own rule, and to its channels: grey or RGB."""

    inner: PictureSource
    resize: Resize | None = None
    channels: int | None = None

    def __len__(self) -> int:
        return len(self.inner)

    def one(self, row: int) -> Tensor:
        """Return one picture as it is wanted, uint8 [C,H,W]."""
        return fit(self.inner.one(row), self.resize, self.channels)

    def read(self, rows: Sequence[int]) -> Tensor:
        """Return some pictures as they are wanted, uint8 [A,C,H,W]."""
        if not len(rows):
            size = self.resize.size if self.resize is not None else (0, 0)
            return torch.zeros(0, self.channels or 3, *size, dtype=torch.uint8)
        return stack([self.one(int(row)) for row in rows])


def fit(image: Tensor, resize: Resize | None = None, channels: int | None = None) -> Tensor:
    """Bring a picture, uint8 [C,H,W], to a classifier's input size by its own rule, and to its channels.

    Raises `DataError` for channels that no rule makes others of.

    >>> fit(torch.zeros(3, 8, 8, dtype=torch.uint8), Resize(None, (4, 4)), 1).shape
    torch.Size([1, 4, 4])
    """
    channels = channels or len(image)
    if len(image) == channels and (resize is None or tuple(image.shape[1:]) == resize.size):
        return image
    if len(image) not in (1, 3):
        raise DataError(f"pictures with {len(image)} channels", expected=f"{channels}, as the model")
    picture = to_pil(image)
    if resize is not None:
        picture, _ = resize.resize(picture)
    return _levels(picture, channels)


def whole(pictures: PictureSource, row: int) -> Image.Image:
    """Return one picture as it was before it was made to fit, upright; raises `FileError` when it is broken.

    >>> whole(fitted(Memory(torch.zeros(1, 3, 8, 6, dtype=torch.uint8)), Resize(None, (4, 4))), 0).size
    (6, 8)
    """
    if isinstance(pictures, Selected):
        return whole(pictures.inner, int(pictures.rows[row]))
    if isinstance(pictures, Fitted):
        return whole(pictures.inner, row)
    if isinstance(pictures, Joined):
        for part in pictures.parts:
            if row < len(part):
                return whole(part, row)
            row -= len(part)
    return pictures.fetch(row, 0) if isinstance(pictures, Decoded) else to_pil(pictures.one(row))


def fitted(pictures: PictureSource, resize: Resize | None = None, channels: int | None = None) -> PictureSource:
    """Apply a resize rule or a number of channels, before decoding is over where that is possible.

    >>> fitted(Memory(torch.zeros(2, 3, 4, 4, dtype=torch.uint8)), channels=1).read([0]).shape
    torch.Size([1, 1, 4, 4])
    """
    if isinstance(pictures, Joined):
        return Joined(tuple(fitted(part, resize, channels) for part in pictures.parts))
    if isinstance(pictures, Selected):
        return Selected(fitted(pictures.inner, resize, channels), pictures.rows)
    if isinstance(pictures, Decoded):
        return replace(pictures, resize=resize or pictures.resize, channels=channels or pictures.channels)
    if isinstance(pictures, Fitted):
        return Fitted(pictures.inner, resize or pictures.resize, channels or pictures.channels)
    return Fitted(pictures, resize, channels)


def select(pictures: PictureSource, rows: Tensor) -> PictureSource:
    """Keep some pictures, int64 [A], without copying them and without wrapping twice."""
    if isinstance(pictures, Selected):
        return Selected(pictures.inner, pictures.rows[rows])
    return Selected(pictures, rows)


def from_paths(paths: Sequence[Path], channels: int = 3) -> Decoded:
    """Read picture files.

    >>> len(from_paths([]))
    0
    """
    return Decoded(
        len(paths),
        lambda row, keep: open_picture(paths[row], keep=keep),
        channels=channels,
        stamp=lambda row: file_stamp(paths[row]),
    )


def file_stamp(path: Path) -> str:
    """Hash a regular file's bytes; what cannot be read has its reason for a stamp.

    >>> file_stamp(Path("nowhere.png"))
    'does not exist'
    """
    try:
        return digest(path, "blake2b")
    except FileError as error:
        return error.reason


def from_encoded(count: int, data: Callable[[int], bytes], name: Callable[[int], str], channels: int = 3) -> Decoded:
    """Decode pictures whose encoded bytes `data(row)` gives; `name(row)` stands for the path in errors."""
    return Decoded(
        count,
        lambda row, keep: decode_picture(data(row), name(row), keep=keep),
        channels=channels,
        stamp=lambda row: hashlib.blake2b(data(row)).hexdigest(),
    )


def _levels(picture: Image.Image, channels: int) -> Tensor:
    if channels not in (1, 3):  # no rule says what a fourth one would hold
        raise DataError(f"pictures with {channels} channels are asked for", expected="1 (grey) or 3 (RGB)")
    return to_levels(picture, channels)


def to_pil(image: Tensor) -> Image.Image:
    """Make a tensor, uint8 [C,H,W] of one or three channels, a picture."""
    return Image.fromarray((image[0] if len(image) == 1 else image.permute(1, 2, 0)).contiguous().numpy())


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
