"""Progress of long work: drawn on a terminal, silent in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from backlight.core.escaping import printable

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID


class Progress(Protocol):
    """Receive how far some long work is; library functions take one or `None`."""

    def start(self, total: int, description: str) -> None:
        """Begin a piece of work of `total` items."""

    def advance(self, count: int = 1, note: str = "") -> None:
        """Report `count` more items as finished, with a few words about them."""

    def announce(self, text: str) -> None:
        """Say a sentence that stays, such as how long the work will take."""

    def done(self) -> None:
        """End the piece of work, finished or not."""


@contextmanager
def reporting(progress: Progress | None, total: int, description: str) -> Iterator[Callable[..., None]]:
    """Yield `advance(count=1, note="")` for one piece of work, and end it whatever happens.

    >>> with reporting(None, total=2, description="look") as advance:
    ...     advance(2)
    """
    if progress is None:
        yield lambda count=1, note="": None
        return
    progress.start(total, description)
    try:
        yield progress.advance
    finally:
        progress.done()


class TerminalProgress:
    """Draw a bar with the estimated time left on standard error; pieces of work may be nested.

    >>> bar = TerminalProgress()
    >>> bar.start(2, "look"); bar.advance(2, "half way"); bar.done()
    """

    def __init__(self) -> None:
        self._bar: Bar | None = None
        self._tasks: list[TaskID] = []

    def start(self, total: int, description: str) -> None:
        """Begin a piece of work of `total` items."""
        if self._bar is None:
            self._bar = _bar()
            self._bar.start()
        self._tasks.append(self._bar.add_task(printable(description), total=total, note=""))

    def advance(self, count: int = 1, note: str = "") -> None:
        """Report `count` more items as finished, with a few words about them."""
        if self._bar is None:
            return
        self._bar.advance(self._tasks[-1], count)
        if note:
            self._bar.update(self._tasks[-1], note=printable(note))

    def announce(self, text: str) -> None:
        """Say a sentence that stays above the bar."""
        if self._bar is not None:
            self._bar.console.print(printable(text), markup=False, highlight=False)

    def done(self) -> None:
        """End the innermost piece of work; the bar goes when the last one ends."""
        if self._bar is None:
            return
        self._bar.remove_task(self._tasks.pop())
        if not self._tasks:
            self._bar.stop()
            self._bar = None


def terminal_progress(quiet: bool = False) -> Progress | None:
    """Return a bar when a person watches standard error, else `None`.

    >>> terminal_progress(quiet=True) is None
    True
    """
    return TerminalProgress() if not quiet and sys.stderr.isatty() else None


def _bar() -> Bar:
    # Markup is off everywhere: descriptions and notes may hold file names and labels from outside.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    return Bar(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
        refresh_per_second=4,
    )
