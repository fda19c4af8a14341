"""THE chunker: a function over slices, halved on out-of-memory, with the same result at any size.

Whatever needs many passes (integrated gradients, SmoothGrad, occlusion, RISE, Score-CAM, metrics, the pixel
loop) runs through here, so memory is bounded in one place only.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from backlight.core.errors import BacklightError, InputError

T = TypeVar("T")

# On a CPU what a network keeps for its gradient should go back to the allocator without going back to the system:
# with twice as many images page faults took a third of the time of small networks, and of large ones even more.
_ON_CPU, _ELSEWHERE, _FEWEST = 64 * 3 * 32 * 32, 64 * 3 * 224 * 224, 4


@dataclass
class Chunk:
    """Remember the chunk size that worked; hand the same object to later calls to start from there.

    >>> size = Chunk(64)
    >>> size.size
    64
    """

    size: int

    def __post_init__(self) -> None:
        if self.size < 1:
            raise InputError(f"chunk size {self.size}", expected="at least 1")

    @staticmethod
    def of(size: int | Chunk) -> Chunk:
        """Wrap a number; an existing `Chunk` passes through."""
        return size if isinstance(size, Chunk) else Chunk(size)

    @staticmethod
    def fitting(images: Tensor) -> Chunk:
        """Choose how many of some images `[B,C,H,W]` a network looks at together: 64 of 32 px, 4 of 224 px on a CPU.

        >>> Chunk.fitting(torch.zeros(1, 3, 32, 32)), Chunk.fitting(torch.zeros(1, 3, 224, 224))
        (Chunk(size=64), Chunk(size=4))
        """
        values = _ON_CPU if images.device.type == "cpu" else _ELSEWHERE
        return Chunk(max(_FEWEST, values // max(1, images[:1].numel())))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception, or one of ours by its cause, says that memory ran out, on an accelerator or on the CPU.

    >>> is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to ..."))
    True
    """
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    if isinstance(error, BacklightError):
        return error.__cause__ is not None and is_out_of_memory(error.__cause__)
    text = str(error)
    return isinstance(error, RuntimeError) and (
        "can't allocate memory" in text or "not enough memory" in text or "out of memory" in text
    )


def in_chunks(function: Callable[[slice], T], count: int, size: int | Chunk) -> Iterator[T]:
    """Yield `function(slice)` for consecutive slices that cover `range(count)`.

    When memory runs out the slice is halved and tried again, so `function` must be free to start over. A
    smaller size is kept for the rest, and in `size` if that is a `Chunk`. When not even one item fits,
    `InputError` says so.

    >>> list(in_chunks(lambda part: (part.start, part.stop), 5, 2))
    [(0, 2), (2, 4), (4, 5)]
    """
    chunk = Chunk.of(size)
    start = 0
    while start < count:
        stop = min(start + chunk.size, count)
        result = _attempt(function, slice(start, stop))
        if result is None:
            if stop - start == 1:
                raise InputError("memory ran out on a single item", hint="smaller images, or another device")
            chunk.size = (stop - start) // 2
            continue
        yield result[0]
        start = stop


def _attempt(function: Callable[[slice], T], part: slice) -> tuple[T] | None:
    try:
        return (function(part),)
    except (RuntimeError, MemoryError, BacklightError) as error:
        if not is_out_of_memory(error):
            raise
    # Only after the handler is left do the frames let go of the tensors that filled the memory.
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    return None


def sum_chunks(
    function: Callable[[Tensor, Tensor], Tensor],
    rows: int,
    points: int,
    *,
    size: int | Chunk,
    device: object = "cpu",
) -> Tensor:
    """Sum a function of (image, point) over all points of each image: [rows, ...] in float64.

    `function(row_index, point_index)` takes two int64 tensors [A] and returns [A, ...]. The terms of an image
    are added one after another in the order of its points, so the sum is the same at any chunk size.

    >>> sum_chunks(lambda row, point: row * 10.0 + point, rows=2, points=3, size=4)
    tensor([ 3., 33.], dtype=torch.float64)
    """
    if rows * points == 0:
        raise InputError(f"{rows} rows and {points} points", expected="at least one of each")

    def terms(part: slice) -> tuple[Tensor, Tensor]:
        flat = torch.arange(part.start, part.stop, device=torch.device(str(device)))
        row = flat // points
        return row, function(row, flat % points).detach().double()

    total: Tensor | None = None
    for row, values in in_chunks(terms, rows * points, size):
        if total is None:
            total = values.new_zeros(rows, *values.shape[1:])
        total.index_add_(0, row, values)
    assert total is not None
    return total
