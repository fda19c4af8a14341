"""What a sweep hands back: the parts of its finished blocks, and the blocks on which the work failed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from backlight.core.errors import DataError, Failure
from backlight.sweep.parts import GivenUp, Parts
from backlight.sweep.task import Block, Part
from backlight.table import Table


@dataclass(frozen=True, eq=False, repr=False)
class Swept:
    """The parts of the blocks that are finished, in the order of the data; read again each time they are asked for.

    >>> import torch
    >>> from backlight.data.dataset import Dataset
    >>> from backlight.sweep import Task, sweep
    >>> data = Dataset.of(torch.zeros(3, 3, 4, 4, dtype=torch.uint8))
    >>> found = sweep(Task("ids", data, lambda data, advance: Part(Table.of(id=data.ids)), size=2))
    >>> len(found.blocks), found.table.ids
    (2, ['0', '1', '2'])
    """

    name: str
    store: Parts
    blocks: tuple[Block, ...]
    given_up: tuple[GivenUp, ...] = ()

    def parts(self, *, tensors: bool = True) -> Iterator[Part]:
        """Yield the parts, one in memory at a time where they lie in a folder."""
        for block in self.blocks:
            yield self.store.read(block, tensors=tensors)

    def holding(self, ids: Sequence[str]) -> Iterator[Part]:
        """Yield the parts of the blocks that hold any of these pictures."""
        wanted = set(ids)
        for block in self.blocks:
            if not wanted.isdisjoint(block.ids):
                yield self.store.read(block)

    @cached_property
    def table(self) -> Table:
        """Return the rows of all parts; raises DataError where no picture could be read."""
        found = (part.table.copy() for part in self.parts(tensors=False) if len(part.table))
        first = next(found, None)
        if first is None:
            raise DataError(f"{self.name} has no picture that can be read", expected="at least one")
        return Table.merge(chain([first], found))

    @cached_property
    def failed(self) -> tuple[Failure, ...]:
        """Name the pictures that could not be read, and those of blocks on which the work failed."""
        unread = tuple(one for part in self.parts(tensors=False) for one in part.failed)
        return (*unread, *(one for block in self.given_up for one in block.failures))
