"""Progress of long work: drawn on a terminal and below a notebook's cell, silent in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from backlight.core.escaping import printable

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID
    from tqdm import tqdm


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


class NotebookProgress:
    """Draw a bar with the estimated time left below the cell of a notebook; pieces of work may be nested.

    >>> bar = NotebookProgress()
    >>> bar.start(2, "look"); bar.advance(2, "half way"); bar.done()
    """

    def __init__(self) -> None:
        self._bars: list[tqdm[Any]] = []

    def start(self, total: int, description: str) -> None:
        """Begin a piece of work of `total` items."""
        from tqdm import tqdm

        # Plain text, which every front end draws; the outermost bar alone, since one line is all that text rewrites.
        hidden = bool(self._bars)
        bar = tqdm(desc=printable(description), total=total, file=sys.stderr, leave=False, disable=hidden, ncols=100)
        self._bars.append(bar)

    def advance(self, count: int = 1, note: str = "") -> None:
        """Report `count` more items as finished, with a few words about them."""
        if self._bars:
            self._bars[-1].update(count)
            if note:
                self._bars[-1].set_postfix_str(printable(note), refresh=False)

    def announce(self, text: str) -> None:
        """Say a sentence that stays above the bar."""
        if self._bars:
            self._bars[0].write(printable(text), file=sys.stderr)

    def done(self) -> None:
        """End the innermost piece of work; its bar goes."""
        if self._bars:
            self._bars.pop().close()


def progress_bar(quiet: bool = False) -> Progress | None:
    """Return a bar where a person sees it, on a terminal or in a notebook, else `None`.

    >>> progress_bar(quiet=True) is None
    True
    """
    if quiet:
        return None
    if _in_notebook():
        return NotebookProgress()
    return TerminalProgress() if sys.stderr.isatty() else None


def _in_notebook() -> bool:
    """Whether this process is the kernel of a notebook: a shell of IPython that answers to one."""
    interactive = sys.modules.get("IPython")
    shell = interactive.get_ipython() if interactive else None
    return shell is not None and hasattr(shell, "kernel")


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
