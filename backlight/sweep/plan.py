"""What a sweep will take, found out before any of its work: arithmetic, and a few pictures that are timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from backlight.core.errors import counted
from backlight.core.grammar import duration
from backlight.core.processes import Engine
from backlight.sweep.cost import block_size
from backlight.sweep.estimate import peak_memory
from backlight.sweep.parts import FolderParts
from backlight.sweep.task import Block, Task

T = TypeVar("T")
_PROBE = 4.0  # seconds on a slow core that the timed pictures may take


@dataclass(frozen=True)
class Plan:
    """What one sweep takes: passes a picture at most, seconds of one process, bytes of its memory and of all parts.

    `measured` pictures were timed on `threads`; passes of sweeps that follow from the parts of this one are counted, at
    most, and taken to be as fast. Work that is one whole, such as learning, cannot be timed on a few pictures: its
    `seconds`, and what follows from them, are None.

    >>> Plan("evaluate", 1000, 4, 250, 10**6, 1.0, 8, 2, 720.0, 2**30, 2**20).core_hours
    0.4
    """

    task: str
    pictures: int
    blocks: int
    size: int
    multiply_adds: int | None
    passes: float | None
    measured: int
    threads: int
    seconds: float | None
    memory: int
    disk: int

    @property
    def core_hours(self) -> float | None:
        """Return the hours of all threads together."""
        return None if self.seconds is None else self.seconds * self.threads / 3600

    def price_per_million(self, cents: float) -> float | None:
        """Return what a million pictures cost where a core hour costs so many cents, in units of a hundred cents."""
        hours = self.core_hours
        return None if hours is None else hours * cents / 100 * 1e6 / max(1, self.pictures)

    def told(self, workers: int, cents: float) -> str:
        """Say the same to people."""
        passes = "" if self.passes is None else f", at most {self.passes:,.0f} passes each"
        work = f"{self.task}: {self.pictures:,} pictures in {counted(self.blocks, 'block')}{passes}"
        seconds, price = self.seconds_with(workers), self.price_per_million(cents)
        if seconds is None or price is None:
            return f"{work}; one whole, whose time is not known before"
        return (
            f"{work}; about {duration(seconds)} for {max(1, workers):,} {'process' if workers < 2 else 'processes'}, "
            f"{self.memory / 2**30:.1f} GiB of memory each, {self.disk / 2**20:,.1f} MiB on disk; "
            f"{self.core_hours:,.2g} core hours, {price:,.2f} per million pictures at {cents:g} cents a core hour"
        )

    def seconds_with(self, workers: int) -> float | None:
        """Return the seconds where so many workers divide the threads of this process."""
        count = max(1, workers)
        return None if self.seconds is None else self.seconds * self.threads / (count * max(1, self.threads // count))

    def to_json(self, workers: int, cents: float) -> dict[str, Any]:
        """Return plain data."""
        times = {"seconds": self.seconds_with(workers), "core_hours": self.core_hours}
        return asdict(self) | times | {"price_per_million": self.price_per_million(cents)}


@dataclass
class Planned(Exception):
    """Nothing is done: these sweeps were asked what they take."""

    plans: tuple[Plan, ...]


def plan_sweep(task: Task, folder: Path, engine: Engine) -> Plan:
    """Say what a task takes: work on a few pictures of it, into a `folder` that is thrown away, is timed.

    The folder above it is to be thrown away too: what work leaves beside its parts counts as theirs.

    >>> import tempfile
    >>> from backlight.data.dataset import Dataset
    >>> from backlight.sweep import Cost, Part
    >>> from backlight.table import Table
    >>> data = Dataset.of(torch.zeros(5, 3, 4, 4, dtype=torch.uint8))
    >>> cost = lambda: Cost(10**9, 1.0, 48)
    >>> task = Task("ids", data, lambda data, advance: Part(Table.of(id=data.ids)), (), cost, size=2)
    >>> plan_sweep(task, Path(tempfile.mkdtemp()) / "blocks", Engine(torch.device("cpu"))).blocks
    3
    """
    pictures, threads = len(task.data), torch.get_num_threads()
    if task.cost is None:
        size = task.size or 1
        memory = peak_memory(engine.device)
        return Plan(task.name, pictures, -(-pictures // size), size, None, None, 0, threads, None, memory, 0)
    cost = task.cost()
    size = task.size or block_size(cost, task.most)
    few = max(1, min(int(_PROBE / max(cost.seconds, 1e-9)), size, pictures))
    store, work = FolderParts(folder, task.key), task.work
    store.write(Block(0, task.data.limited(1)), work(task.data.limited(1), _quiet))  # the first pass is never the pace
    first, seen = _bytes(folder.parent), task.data.limited(few)
    start = time.perf_counter()
    part = work(seen, _quiet)
    seconds = (time.perf_counter() - start) / few
    store.write(Block(1, seen), part)
    blocks = -(-pictures // size)
    more = first if few == 1 else (_bytes(folder.parent) - 2 * first) / (few - 1)  # a part has bytes of its own
    later = 1 + task.later / cost.passes if cost.passes else 1.0
    return Plan(
        task.name,
        pictures,
        blocks,
        size,
        cost.multiply_adds,
        cost.passes + task.later,
        few,
        threads,
        seconds * pictures * later,
        peak_memory(engine.device) + 4 * cost.held * (size - few),
        round(max(0.0, more) * pictures + max(0.0, first - more) * blocks),
    )


def each_planned(looks: Sequence[Callable[[], T]], *, planning: bool) -> list[T]:
    """Call each; where sweeps are planned and not done, raise the plans of all.

    >>> each_planned([lambda: 1, lambda: 2], planning=False)
    [1, 2]
    """
    if not planning:
        return [look() for look in looks]
    plans = list[Plan]()
    for look in looks:
        try:
            look()
        except Planned as planned:
            plans += planned.plans
    raise Planned(tuple(plans))


def _quiet(count: int = 1, note: str = "") -> None:
    pass


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
