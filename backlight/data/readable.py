"""What can be read of a collection of pictures, and what cannot: broken ones are named and left out."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from backlight.core.errors import Failure, FileError
from backlight.core.progress import Progress, reporting
from backlight.data.decoded import THREADS
from backlight.data.pictures import Memory, PictureSource, stack, try_one

_KEPT, _PASSING = 1024, 64  # pictures of a block that is kept as it is, of one that is only looked at


def read_readable(
    pictures: PictureSource, ids: Sequence[str], rows: Sequence[int]
) -> tuple[Tensor, list[Tensor], tuple[Failure, ...]]:
    """Read what can be read: the rows int64 [A], their pictures uint8 [C,H,W] of any sizes, and what failed."""
    with ThreadPoolExecutor(THREADS) as pool:
        tried = dict(zip(rows, pool.map(lambda row: try_one(pictures, row), rows)))
    good = {row: image for row, image in tried.items() if isinstance(image, Tensor)}
    failed = [Failure.of(ids[row], image) for row, image in tried.items() if isinstance(image, FileError)]
    return torch.tensor(list(good), dtype=torch.int64), list(good.values()), tuple(failed)


def read_stacked(
    pictures: PictureSource, ids: Sequence[str], rows: Tensor
) -> tuple[Tensor, Tensor, tuple[Failure, ...]]:
    """Read what can be read as one tensor: the rows int64 [A], uint8 [A,C,H,W], and what failed."""
    try:
        return rows, pictures.read(rows.tolist()), ()
    except FileError:
        good, images, failed = read_readable(pictures, ids, rows.tolist())
        return good, stack(images), failed


def read_all(
    pictures: PictureSource, ids: Sequence[str], description: str, progress: Progress | None
) -> tuple[Tensor, Memory, tuple[Failure, ...]]:
    """Decode everything once into one tensor: the rows that it holds, int64 [A], the pictures, and what failed."""
    kept, blocks = [], []
    failed: list[Failure] = []
    with reporting(progress, len(pictures), description) as advance:
        for rows in torch.arange(len(pictures)).split(_KEPT):
            good, pixels, broken = read_stacked(pictures, ids, rows)
            kept.append(good)
            blocks += [pixels] if len(good) else []
            failed += broken
            advance(len(rows))
    return torch.cat(kept), Memory(_concatenate(blocks)), tuple(failed)


def try_all(
    pictures: PictureSource, ids: Sequence[str], description: str, progress: Progress | None
) -> tuple[Tensor, tuple[Failure, ...]]:
    """Decode everything once and keep nothing of it: the rows that could be read, int64 [A], and what failed."""
    kept: list[Tensor] = []
    failed: list[Failure] = []
    with reporting(progress, len(pictures), description) as advance:
        for rows in torch.arange(len(pictures)).split(_PASSING):
            good, _, broken = read_readable(pictures, ids, rows.tolist())
            kept.append(good)
            failed += broken
            advance(len(rows))
    return torch.cat(kept), tuple(failed)


def _concatenate(blocks: list[Tensor]) -> Tensor:
    """Join blocks, letting each one go as soon as it is copied: the peak is one copy and one block."""
    if not blocks:
        return stack([])
    whole = blocks[0].new_empty(sum(map(len, blocks)), *blocks[0].shape[1:])
    start = 0
    while blocks:
        block = blocks.pop(0)
        if block.shape[1:] != whole.shape[1:]:
            stack([whole[0], block[0]])
        whole[start : start + len(block)] = block
        start += len(block)
    return whole
