"""What is to be done to a data set: the function of a block, what its results depend on, and what it costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from backlight.core.errors import Failure
from backlight.core.fingerprint import fingerprint
from backlight.data.dataset import Dataset
from backlight.data.stamps import stamps
from backlight.sweep.cost import MOST, Cost
from backlight.table import Table


@dataclass(frozen=True, eq=False, repr=False)
class Part:
    """What became of one block: one row per picture that could be read, tensors that go with them, and what failed.

    >>> Part(Table.of(id=["a"], score=[0.5])).failed
    ()
    """

    table: Table
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    failed: tuple[Failure, ...] = ()


class Advance(Protocol):
    """Report pictures as finished, with a few words about them.

    >>> def quiet(count: int = 1, note: str = "") -> None:
    ...     pass
    >>> advance: Advance = quiet
    >>> advance(2, "half of them")
    """

    def __call__(self, count: int = 1, note: str = "") -> None: ...


Work = Callable[[Dataset, Advance], Part]
"""From the pictures of a block to its part: a pure function of them and of what the task depends on.

Whatever it does in batches it does by rule, so that equal blocks have equal batches and so equal bits.
"""


@dataclass(frozen=True, eq=False, repr=False)
class Task:
    """Work on every picture of a data set, in blocks of a size that `cost` decides.

    `depends` is everything but the pictures that decides about a part: model, method, options, seed; a changed one
    gives other parts. `cost` is asked only where no earlier run has settled the size, of at most `most` pictures;
    `size` overrules it.
    `later` counts the passes a picture, at most, of sweeps that follow from this one's parts.
    `is_complete` says whether what the work wrote besides its part is there still.

    >>> data = Dataset.of(torch.zeros(5, 3, 4, 4, dtype=torch.uint8))
    >>> task = Task("brightness", data, lambda data, advance: Part(Table.of(id=data.ids)), size=2)
    >>> [block.ids for block in task.blocks(2)]
    [('0', '1'), ('2', '3'), ('4',)]
    """

    name: str
    data: Dataset
    work: Work
    depends: tuple[object, ...] = ()
    cost: Callable[[], Cost] | None = None
    size: int | None = None
    most: int = MOST
    is_complete: Callable[[Part], bool] = lambda part: True
    later: float = 0.0

    @cached_property
    def key(self) -> str:
        """Return the fingerprint of all that decides about the results but the pictures."""
        return fingerprint(self.depends)

    def blocks(self, size: int) -> list[Block]:
        """Cut the data into consecutive blocks."""
        rows = torch.arange(len(self.data)).split(size) if len(self.data) else ()
        return [Block(number, self.data.take(part)) for number, part in enumerate(rows)]


@dataclass(frozen=True, eq=False, repr=False)
class Block:
    """Some consecutive pictures of a data set.

    >>> block = Block(0, Dataset.of(torch.zeros(2, 3, 4, 4, dtype=torch.uint8)))
    >>> len(block), block.ids
    (2, ('0', '1'))
    """

    number: int
    data: Dataset

    def __len__(self) -> int:
        return len(self.data)

    @property
    def ids(self) -> tuple[str, ...]:
        """Return the ids of the pictures."""
        return self.data.ids

    @cached_property
    def content(self) -> str:
        """Return the fingerprint of ids, labels, pictures and what goes with them."""
        rows = range(len(self))
        masks, views = (
            sorted((name, stamps(one, rows)) for name, one in several.items())
            for several in (self.data.masks, self.data.views)
        )
        told = (self.ids, self.data.labels, self.data.label_names, stamps(self.data.pictures, rows), masks, views)
        return fingerprint(told)
