"""What a verb says: one JSON document or text on standard output, failures on standard error, an exit status."""

from __future__ import annotations

import json
import math
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from backlight.data import Dataset
    from backlight.errors import Failure

ALL_DONE, SOME_FAILED, WRONG_USE, INTERRUPTED = 0, 1, 2, 130


def say(text: str = "") -> None:
    """Print one line for people on standard output, `printable`."""
    typer.echo(printable(text))


def warn(text: str) -> None:
    """Print one line on standard error, `printable`."""
    typer.echo(printable(text), err=True)


def printable(text: str) -> str:
    r"""Escape what is no letter, sign or space: names from outside may hold commands to the terminal, or new lines.

    >>> printable("größe \x1b[31m\n")
    'größe \\x1b[31m\\n'
    """
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def emit(document: Any) -> None:
    """Print one JSON document; numbers that JSON cannot hold become null."""
    typer.echo(json.dumps(plain_json(document), ensure_ascii=False, indent=2, allow_nan=False))


def finish(
    document: list[dict[str, Any]], failed: Sequence[Failure], *, as_json: bool, text: Callable[[], Iterable[str]]
) -> None:
    """Print results, name every input that failed, and leave with the exit status that fits."""
    if as_json:
        emit([*document, *(one.to_json() for one in failed)])
    else:
        for line in text():
            say(line)
    leave(failed)


def leave(failed: Sequence[Failure]) -> None:
    """Name every input that failed, once, and leave with the exit status that fits."""
    # What no part of a data set has, such as a link that is not followed, each part names.
    for one in dict.fromkeys(failed):
        warn(f"{one.path}: {one.error}")
    if failed:
        raise typer.Exit(SOME_FAILED)


def command(*words: object) -> str:
    """Write a command that may be copied into a shell, whatever its paths are called."""
    return shlex.join(["backlight", *map(str, words)])


def resuming(*without: str) -> str:
    """Write the command that goes on with this one: with --resume, and without the options that are named."""
    words = [word for word in sys.argv[1:] if word not in (*without, "--resume")]
    return command(*words, "--resume")


def data_name(data: Dataset) -> str:
    """Name a data set and its split for the page."""
    # The last part only: the page may be sent to people whom the sender's folders do not concern.
    return f"{data.name.rstrip('/').rsplit('/', 1)[-1]} ({data.split})"


def given_command() -> str:
    """Write the command that was given, for the page that it makes."""
    return command(*sys.argv[1:])


def plain_json(value: Any) -> Any:
    """Return a document as JSON can hold it: numbers that are not finite become null, paths text."""
    if isinstance(value, dict):
        return {str(key): plain_json(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_json(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value
