"""A task whose parts follow from the pictures alone, for this process and for others that tests start."""

from __future__ import annotations

from collections.abc import Callable

import torch

from backlight.data.dataset import Dataset
from backlight.sweep import Advance, Part, Task
from backlight.table import Table


def pictures(count: int = 10, seed: int = 0) -> Dataset:
    """Draw pictures by a generator of their own."""
    generator = torch.Generator().manual_seed(seed)
    return Dataset.of(torch.randint(0, 256, (count, 3, 4, 4), generator=generator, dtype=torch.uint8))


def brightness(
    data: Dataset | None = None, *, size: int = 2, after: Callable[[], None] = lambda: None, asked: object = "mean"
) -> Task:
    """Return the task of averaging each picture; `after` is called when a block is worked out."""

    def work(block: Dataset, advance: Advance) -> Part:
        images = block[:].images
        part = Part(Table.of(id=block.ids, mean=images.mean((1, 2, 3))), {"images": images})
        after()
        return part

    return Task("brightness", data or pictures(), work, (asked,), size=size)
