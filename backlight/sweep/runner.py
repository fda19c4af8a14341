"""Pull the blocks that nobody has, keep their parts, and hand all parts back in the order of the data."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from backlight.core.errors import BacklightError, DataError
from backlight.core.fingerprint import fingerprint
from backlight.core.interrupt import as_interrupts
from backlight.core.processes import Engine
from backlight.core.progress import Progress, reporting
from backlight.core.refused import refused_by_disk
from backlight.core.schema import nullable, number, record, whole
from backlight.sweep.cost import block_size
from backlight.sweep.estimate import WORTH_SAYING, Estimate
from backlight.sweep.parts import LENGTH, WAIT, FolderParts, GivenUp, MemoryParts, Parts
from backlight.sweep.plan import Planned, plan_sweep
from backlight.sweep.stopped import ShareDone
from backlight.sweep.swept import Swept
from backlight.sweep.task import Advance, Block, Part, Task

TRIES = 3
"""How often the work on a block is tried in one run before it is given up."""

HOPELESS = 3
"""After so many blocks that were given up, with none finished, nothing more is tried: the fault is everywhere."""


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
    number of processes and after any kill. A process whose engine has a `part` works on that share alone, or first.

    With a folder, work that raises is tried again, then given up and named in `Swept.failed`; what a caller can mend,
    a `BacklightError`, ends the sweep at once, and so does an error of the first few blocks where nothing succeeds.
    Raises `ShareDone` where the share is done and others are not, `Planned` where nothing but a plan is asked for.

    `note` says in words what is known after a part; no block is begun once `enough` is true.

    >>> import torch
    >>> from backlight.data.dataset import Dataset
    >>> from backlight.table import Table
    >>> data = Dataset.of(torch.zeros(3, 3, 4, 4, dtype=torch.uint8))
    >>> sweep(Task("ids", data, lambda data, advance: Part(Table.of(id=data.ids)), size=2)).table.ids
    ['0', '1', '2']
    """
    engine = engine or _alone()
    if engine.planning and folder is not None:
        raise Planned((plan_sweep(task, folder, engine),))
    run = _Run(task, folder, tag, engine, note, enough)
    with reporting(progress, len(task.data), task.name) as advance:
        run.pull(advance, progress)
    return run.swept()


_HASHED = 2**16
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
        self.given_up: dict[int, GivenUp] = {}
        self.worked, self.seconds, self.estimated = 0, 0.0, False

    def _size(self) -> int:
        if self.kept is None:
            return int(self._plan()["size"])
        # A run that goes on cuts as the first one did, without another look at the model.
        pictures = _fingerprint_of(self.task.data.ids)[:LENGTH]
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
        """Work until every block of this process has a part or is given up, or until it is enough."""
        left = self._mine()
        while left:
            waiting = [block for block in left if not self._settle(block, advance, progress)]
            if self.enough():
                return
            if len(waiting) == len(left):
                time.sleep(WAIT)
            left = waiting
        self._end_share()

    def _mine(self) -> list[Block]:
        rank, world = self.engine.rank, self.engine.world
        if self.kept is None:
            return self.blocks[rank::world]
        # Everybody who helps may take everything, but begins elsewhere, so that few claims meet.
        own = self.engine.pulled.of(self.blocks)
        if not self.engine.pulled.helps:
            for block in own:
                self.kept.try_again(block)
        return own

    def _end_share(self) -> None:
        """Raise ShareDone where what comes next needs blocks that are nobody's here."""
        share = self.engine.pulled
        if self.kept is None or share.helps:
            return
        own = len(share.of(self.blocks))
        done = self.kept.count()
        # Counted before they are asked for: to ask for a block is to look at all of its pictures.
        if self.given_up or done < len(self.blocks) or not all(map(self.kept.has, self.blocks)):
            failed, blocks = tuple(self.given_up.values()), len(self.blocks)
            raise ShareDone(self.task.name, share, own - len(failed), min(done, blocks), blocks, failed)

    def _settle(self, block: Block, advance: Advance, progress: Progress | None) -> bool:
        """Whether a block is finished, or given up, after this process has done what it may."""
        if self._found(block, advance) or self._abandoned(block, advance):
            return True
        if self.enough():
            return False
        with self.store.claim(block) as mine:
            if not mine:
                return False
            # By another process since the look before.
            if self._found(block, advance) or self._abandoned(block, advance):
                return True
            start, said = time.perf_counter(), _Counted(advance)
            part = self._tried(block, said)
            if part is None:
                return self._abandoned(block, advance)
            self.store.write(block, part)
            self._finish(block, part, lambda count, note: advance(count - said.count, note))
            self._estimate(block, time.perf_counter() - start, progress)
        return True

    def _tried(self, block: Block, said: _Counted) -> Part | None:
        """Work on a block, several times if need be; None where it is given up."""
        for tries in range(1, TRIES + 1):
            try:
                with as_interrupts():
                    return self.task.work(block.data, said)
            except BacklightError:
                raise
            except Exception as error:
                if self.kept is None or refused_by_disk(error):
                    raise
                said.take_back()
                if tries == TRIES:
                    self.given_up[block.number] = self.kept.give_up(block, error, TRIES)
                    if self._hopeless(self.kept):
                        raise
        return None

    def _abandoned(self, block: Block, advance: Advance) -> bool:
        """Whether the work on a block failed too often in this run, here or elsewhere."""
        found = None if self.kept is None else self.kept.given_up(block)
        if self.kept is None or found is None:
            return False
        self.given_up[block.number] = found
        if self._hopeless(self.kept):
            raise DataError(f"{self.task.name}: no block can be worked on: {found.error}", hint="--resume tries again")
        advance(len(block), "")
        return True

    def _hopeless(self, kept: FolderParts) -> bool:
        return len(self.given_up) >= min(HOPELESS, len(self.blocks)) and not kept.count()

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
        left = sum(len(one) for one in self.blocks if one.number not in self.finished) / self.engine.pulled.count
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
        given_up = tuple(self.given_up[number] for number in sorted(self.given_up))
        return Swept(self.task.data.name, self.store, tuple(done), given_up)


def _fingerprint_of(ids: Sequence[str]) -> str:
    """Hash names of which there may be millions, many at a time, since each alone takes longer."""
    return fingerprint([fingerprint("\0".join(ids[at : at + _HASHED])) for at in range(0, len(ids), _HASHED)])


class _Counted:
    """Pass on what the work reports, and remember how much that was."""

    def __init__(self, advance: Advance) -> None:
        self.advance, self.count = advance, 0

    def __call__(self, count: int = 1, note: str = "") -> None:
        self.count += count
        self.advance(count, note)

    def take_back(self) -> None:
        """Report as unfinished what was reported of work that failed."""
        self.advance(-self.count)
        self.count = 0
