"""Pictures that are decoded when they are asked for: from files, or from bytes that lie in other files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from torch import Tensor

from backlight.core.errors import DataError, FileError
from backlight.core.reading import digest
from backlight.data.pictures import stack
from backlight.images import DECODING, Resize, decode_picture, open_picture, to_levels

THREADS = min(8, os.cpu_count() or 1)
SMALL = 128 * 128  # below it threads wait for each other longer than they decode


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
            return levels(picture, self.channels), size


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


def from_encoded(
    count: int,
    data: Callable[[int], bytes],
    name: Callable[[int], str],
    channels: int = 3,
    version: Callable[[int], str] = lambda row: "",
) -> Decoded:
    """Decode pictures whose encoded bytes `data(row)` gives; `name(row)` stands for the path in errors.

    `version(row)` tells one picture from another where that is known without its bytes, and is empty elsewhere.
    """

    def fetch(row: int, keep: int) -> Image.Image:
        try:
            encoded = data(row)
        except FileError as error:  # of the file that holds them all
            raise FileError(name(row), str(error)) from None
        return decode_picture(encoded, name(row), keep=keep)

    return Decoded(
        count,
        fetch,
        channels=channels,
        stamp=lambda row: version(row) or hashlib.blake2b(data(row)).hexdigest(),
    )


def levels(picture: Image.Image, channels: int) -> Tensor:
    """Make a picture a tensor, uint8 [C,H,W]; raises `DataError` for other channels than grey or RGB."""
    if channels not in (1, 3):  # no rule says what a fourth one would hold
        raise DataError(f"pictures with {channels} channels are asked for", expected="1 (grey) or 3 (RGB)")
    return to_levels(picture, channels)
