"""Pull the blocks that nobody has, keep their parts, and hand all parts back in the order of the data."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from backlight.core.errors import DataError, Failure
from backlight.core.fingerprint import fingerprint
from backlight.core.processes import Engine
from backlight.core.progress import Progress, reporting
from backlight.core.schema import nullable, number, record, whole
from backlight.sweep.cost import block_size
from backlight.sweep.estimate import WORTH_SAYING, Estimate
from backlight.sweep.parts import LENGTH, WAIT, FolderParts, MemoryParts, Parts
from backlight.sweep.task import Advance, Block, Part, Task
from backlight.table import Table


@dataclass(frozen=True, eq=False, repr=False)
class Swept:
    """The parts of the blocks that are finished, in the order of the data; read again each time they are asked for.

    >>> import torch
    >>> from backlight.data.dataset import Dataset
    >>> data = Dataset.of(torch.zeros(3, 3, 4, 4, dtype=torch.uint8))
    >>> found = sweep(Task("ids", data, lambda data, advance: Part(Table.of(id=data.ids)), size=2))
    >>> len(found.blocks), found.table.ids
    (2, ['0', '1', '2'])
    """

    name: str
    store: Parts
    blocks: tuple[Block, ...]

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
        found = [part.table for part in self.parts(tensors=False) if len(part.table)]
        if not found:
            raise DataError(f"{self.name} has no picture that can be read", expected="at least one")
        return Table.merge(found)

    @cached_property
    def failed(self) -> tuple[Failure, ...]:
        """Name the pictures that could not be read."""
        return tuple(one for part in self.parts(tensors=False) for one in part.failed)


def sweep(
    task: Task,
    *,
    folder: Path | None = None,
    tag: str = "",
    engine: Engine | None = None,
    progress: Progress | None = None,
    note: Callable[[Part], str] = lambda part: "",
    enough: Callable[[], bool] = lambda: False,
) -> Swept:
    """Work on every block of a task that has no part yet, and return all parts.

    With a `folder` parts are kept there, and any number of processes, on any number of machines that see it, may
    call this at the same time: each takes the blocks that nobody has, and returns when all are finished. Without one
    the processes of `engine` deal the blocks out and exchange their parts. Parts are the same either way, for any
    number of processes and after any kill.

    `note` says in words what is known after a part; no block is begun once `enough` is true.

    >>> import torch
    >>> from backlight.data.dataset import Dataset
    >>> data = Dataset.of(torch.zeros(3, 3, 4, 4, dtype=torch.uint8))
    >>> sweep(Task("ids", data, lambda data, advance: Part(Table.of(id=data.ids)), size=2)).table.ids
    ['0', '1', '2']
    """
    engine = engine or _alone()
    run = _Run(task, folder, tag, engine, note, enough)
    with reporting(progress, len(task.data), task.name) as advance:
        run.pull(advance, progress)
    return run.swept()


_PLAN = record({"size": whole(1), "passes": nullable(number(0.0))})


def _alone() -> Engine:
    import torch

    return Engine(torch.device("cpu"))


class _Run:
    """One call of `sweep` under way."""

    def __init__(
        self,
        task: Task,
        folder: Path | None,
        tag: str,
        engine: Engine,
        note: Callable[[Part], str],
        enough: Callable[[], bool],
    ) -> None:
        self.task, self.engine, self.note, self.enough = task, engine, note, enough
        self.kept = None if folder is None else FolderParts(folder, task.key, tag)
        self.store: Parts = self.kept or MemoryParts()
        self.passes: float | None = None
        self.blocks = task.blocks(self._size())
        self.finished: set[int] = set()
        self.worked, self.seconds, self.estimated = 0, 0.0, False

    def _size(self) -> int:
        if self.kept is None:
            return int(self._plan()["size"])
        # A run that goes on cuts as the first one did, without another look at the model.
        pictures = fingerprint(self.task.data.ids)[:LENGTH]
        name = f"plan-{pictures}" if self.task.size is None else f"plan-{pictures}-{self.task.size}"
        plan = self.kept.settle(name, self._plan, _PLAN)
        self.passes = plan["passes"]
        return int(plan["size"])

    def _plan(self) -> dict[str, Any]:
        """Describe what will be done, and settle the size of a block by what a picture costs."""
        cost = self.task.cost() if self.task.cost is not None else None
        size = self.task.size or (1 if cost is None else block_size(cost, self.task.most))
        self.passes = None if cost is None else cost.passes
        pictures = len(self.task.data)
        return {
            "task": self.task.name,
            "fingerprint": self.task.key if self.kept is not None else None,
            "pictures": pictures,
            "blocks": -(-pictures // size),
            "size": size,
            "multiply_adds": None if cost is None else cost.multiply_adds,
            "passes": self.passes,
        }

    def pull(self, advance: Advance, progress: Progress | None) -> None:
        """Work until every block has a part, or until it is enough."""
        left = self._mine()
        while left:
            waiting = [block for block in left if not self._settle(block, advance, progress)]
            if self.enough():
                return
            if len(waiting) == len(left):
                time.sleep(WAIT)
            left = waiting

    def _mine(self) -> list[Block]:
        rank, world = self.engine.rank, self.engine.world
        if self.kept is None:
            return self.blocks[rank::world]
        # Everybody may take everything, but begins elsewhere, so that few claims meet.
        start = rank * len(self.blocks) // world
        return [*self.blocks[start:], *self.blocks[:start]]

    def _settle(self, block: Block, advance: Advance, progress: Progress | None) -> bool:
        """Whether a block is finished after this process has done what it may."""
        if self._found(block, advance):
            return True
        if self.enough():
            return False
        with self.store.claim(block) as mine:
            if not mine:
                return False
            if self._found(block, advance):  # by another process since the look before
                return True
            start, said = time.perf_counter(), _Counted(advance)
            part = self.task.work(block.data, said)
            self.store.write(block, part)
            self._finish(block, part, lambda count, note: advance(count - said.count, note))
            self._estimate(block, time.perf_counter() - start, progress)
        return True

    def _found(self, block: Block, advance: Advance) -> bool:
        if not self.store.has(block):
            return False
        part = self.store.read(block, tensors=False)
        if not self.task.is_complete(part):
            return False
        self._finish(block, part, advance)
        return True

    def _finish(self, block: Block, part: Part, advance: Callable[[int, str], None]) -> None:
        self.finished.add(block.number)
        advance(len(block), self.note(part))

    def _estimate(self, block: Block, seconds: float, progress: Progress | None) -> None:
        self.worked, self.seconds = self.worked + len(block), self.seconds + seconds
        left = sum(len(one) for one in self.blocks if one.number not in self.finished) / self.engine.world
        found = Estimate.of(self.seconds, self.worked, round(left), self.passes, self.engine.device)
        if progress is not None and not self.estimated and found.seconds > WORTH_SAYING:
            progress.announce(f"{self.task.name}: {found.text}")
        self.estimated = True

    def swept(self) -> Swept:
        """Return what is finished, in all processes the same."""
        if isinstance(self.store, MemoryParts):
            for part in self.engine.gather_objects(self.store.kept):
                self.store.kept.update(part)
        self.engine.barrier()  # in a folder, what others finished last
        done = [block for block in self.blocks if block.number in self.finished or self.store.has(block)]
        return Swept(self.task.data.name, self.store, tuple(done))


class _Counted:
    """Pass on what the work reports, and remember how much that was."""

    def __init__(self, advance: Advance) -> None:
        self.advance, self.count = advance, 0

    def __call__(self, count: int = 1, note: str = "") -> None:
        self.count += count
        self.advance(count, note)
