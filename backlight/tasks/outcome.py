"""What a task hands back: files, a document, lines for people, what failed, and the exit status."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from backlight.core.errors import Failure
from backlight.core.escaping import shell_command
from backlight.core.interrupt import as_interrupts

ALL_DONE, SOME_FAILED, WRONG_USE, NOT_JUDGED, GATE_FAILED, INTERRUPTED = 0, 1, 2, 3, 4, 130


@dataclass(frozen=True)
class Outcome:
    """What came of a task.

    `document` is plain JSON; it is None in every process but the main one, which alone has something to tell.
    `lines` say the same to people, `warnings` what they must not miss, `commands` something to a build that reads
    along. `files` are those written, `failures` the inputs that failed. `passed` is False where a gate failed, None
    where one could not be judged. `result` is the library's own object, for who goes on in Python.

    >>> Outcome({"n": 2}, failures=(Failure("a.png", "not a picture"),)).status
    1
    """

    document: Any = None
    lines: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    failures: tuple[Failure, ...] = ()
    warnings: tuple[str, ...] = ()
    result: Any = None
    passed: bool | None = True
    commands: tuple[str, ...] = ()

    @property
    def status(self) -> int:
        """Return the exit status: 4 a gate failed, 3 one could not be judged, 1 some inputs failed, 0 all done."""
        if self.passed is not True:
            return NOT_JUDGED if self.passed is None else GATE_FAILED
        return SOME_FAILED if self.failures else ALL_DONE


class HasDocument(Protocol):
    """What can be written as JSON."""

    def to_json(self) -> Mapping[str, object]:
        """Return plain data."""
        ...


class Interrupted(KeyboardInterrupt):
    """An interrupt of a task that left something finished: `kept` says what, `resumable` that it can go on.

    >>> Interrupted(kept="half of it").resumable
    False
    """

    def __init__(self, *, kept: str = "", resumable: bool = False) -> None:
        super().__init__(kept)
        self.kept, self.resumable = kept, resumable


@contextmanager
def keeping(*, kept: Callable[[], str] = str, resumable: Callable[[], bool] = bool) -> Iterator[None]:
    """Let an interrupt of the block say what is finished; both questions are asked when it comes.

    >>> try:
    ...     with keeping(kept=lambda: "half of it"):
    ...         raise KeyboardInterrupt
    ... except Interrupted as interrupt:
    ...     interrupt.kept
    'half of it'
    """
    try:
        with as_interrupts():
            yield
    except KeyboardInterrupt as interrupt:
        raise Interrupted(kept=kept(), resumable=resumable()) from interrupt


def one_per_input(
    done: Sequence[HasDocument],
    failed: Iterable[Failure],
    lines: Iterable[str],
    *,
    files: Iterable[str | Path] = (),
    warnings: tuple[str, ...] = (),
    result: Any = None,
) -> Outcome:
    """Tell of a task over picture files: a list with an entry for each, those that failed last."""
    failures = tuple(failed)
    document = plain_json([*(one.to_json() for one in done), *(one.to_json() for one in failures)])
    return Outcome(document, tuple(lines), tuple(map(Path, files)), failures, warnings, result)


def plain_json(value: Any) -> Any:
    """Return a document as JSON can hold it: numbers that are not finite become null, paths text.

    >>> plain_json({"a": (float("nan"), Path("b.png"))})
    {'a': [None, 'b.png']}
    """
    if isinstance(value, dict):
        return {str(key): plain_json(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_json(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def command(*words: object) -> str:
    """Write a command that may be copied into a shell, whatever its paths are called.

    >>> command("evaluate", "--model", "first run")
    "backlight evaluate --model 'first run'"
    """
    return shell_command(["backlight", *words])
