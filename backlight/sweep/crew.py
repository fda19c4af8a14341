"""Who pulls blocks besides this process: workers that an engine starts, and that this process waits for.

A worker is the same command once more, told which share it begins with. It finds its work in the folder and leaves its
parts there, so an engine has only to start it, to say how it ended and to end it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from backlight.core.plugins import Registry
from backlight.core.progress import Progress
from backlight.sweep.jobs import count_blocks
from backlight.sweep.local import start_processes
from backlight.sweep.on_ray import start_actors
from backlight.sweep.parts import WAIT

_LOOK, _SHARE = 1.0, 20.0  # seconds between two counts of the parts, and at least so many times what a count takes


class Worker(Protocol):
    """One who pulls blocks, seen by the process that waits."""

    @property
    def name(self) -> str:
        """Return what people call it."""

    def ended(self) -> str | None:
        """Say how it ended, "" where it did all that there was; None while it works."""

    def stop(self) -> None:
        """Ask it to end, as Ctrl-C does: what it has finished stays."""

    def wait(self) -> None:
        """Wait until it has ended, and end it by force where it does not."""


Start = Callable[[Sequence[Sequence[str]]], Sequence[Worker]]
"""Start a worker for each of several commands, which are the words after `backlight`."""


@dataclass(frozen=True)
class CrewCard:
    """An engine: what it is called, and how it starts workers.

    >>> ENGINES.find("local").name
    'local'
    """

    name: str
    start: Start
    description: str = ""


_ENGINES = (
    CrewCard("local", start_processes, "processes of this machine"),
    CrewCard("ray", start_actors, "actors of Ray, on any of its machines"),
)
ENGINES = Registry[CrewCard]("engines", "engine", _ENGINES, CrewCard, CrewCard)


def attend(workers: Sequence[Worker], folder: Path, progress: Progress | None, tell: Callable[[str], None]) -> None:
    """Wait for workers that pull the blocks of `folder`; say who died, and end all of them if this is interrupted.

    >>> attend([], Path("no-such-folder"), None, print)
    """
    running, shown = list(workers), _Shown(folder, progress, len(workers))
    try:
        while running:
            for worker in list(running):
                how = worker.ended()
                if how is None:
                    continue
                running.remove(worker)
                if how:
                    tell(f"{worker.name} {how}; its blocks are done by {'the others' if running else 'this process'}")
            shown.look()
            if running:
                time.sleep(WAIT)
    finally:
        for worker in running:
            worker.stop()
        for worker in running:
            worker.wait()
        shown.end()


class _Shown:
    """Draw how many blocks of a folder are finished, by whomever."""

    def __init__(self, folder: Path, progress: Progress | None, workers: int) -> None:
        self.folder, self.progress, self.workers = folder, progress, workers
        self.next, self.total, self.done = 0.0, 0, 0

    def look(self) -> None:
        begun = time.monotonic()
        if self.progress is None or begun < self.next:
            return
        name, done, total = count_blocks(self.folder)
        self.next = begun + max(_LOOK, _SHARE * (time.monotonic() - begun))
        if total > self.total:  # another sweep has begun
            self.end()
            self.progress.start(total, f"{name}, {self.workers} workers, blocks")
            self.total, self.done = total, 0
        if done != self.done:
            self.progress.advance(done - self.done)
            self.done = done

    def end(self) -> None:
        if self.progress is not None and self.total:
            self.progress.done()
            self.total = 0
