"""What a verb says: one JSON document or text on standard output, failures on standard error, an exit status."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from backlight.core.progress import Progress, terminal_progress

if TYPE_CHECKING:
    from backlight.cli.options import OutputOptions, PrintOptions
    from backlight.tasks.outcome import Outcome


def run_task(
    shown: PrintOptions, task: Callable[[Progress | None], Outcome], *, resume_without: Collection[str] = ()
) -> None:
    """Do a task with progress on a terminal, print what came of it, and leave with its exit status.

    Interrupted, say what is kept, and which command goes on: this one with --resume, without the options named.
    """
    progress = terminal_progress(shown.quiet)
    try:
        outcome = task(progress)
    except KeyboardInterrupt as interrupt:
        if kept := getattr(interrupt, "kept", ""):
            warn(kept)
        if getattr(interrupt, "resumable", False):
            words = [word for word in sys.argv[1:] if word not in (*resume_without, "--resume")]
            warn(f"resume with: {shlex.join(['backlight', *words, '--resume'])}")
        raise
    deliver(outcome, as_json=shown.json)


def deliver(outcome: Outcome, *, as_json: bool) -> None:
    """Print an outcome, name every input that failed once, and leave with the exit status that fits."""
    if outcome.document is None:  # this process is not the main one
        return
    for text in outcome.warnings:
        warn(text)
    if as_json:
        emit(outcome.document)
        for text in outcome.commands:
            warn(text)
    else:
        for line in (*outcome.lines, *outcome.commands):
            say(line)
    for one in dict.fromkeys(outcome.failures):
        warn(f"{one.path}: {one.error}")
    if outcome.status:
        raise typer.Exit(outcome.status)


def say(text: str = "") -> None:
    """Print one line for people on standard output, `printable`."""
    typer.echo(printable(text))


def warn(text: str) -> None:
    """Print one line on standard error, `printable`."""
    typer.echo(printable(text), err=True)


def emit(document: Any) -> None:
    """Print one JSON document."""
    typer.echo(json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False))


def printable(text: str) -> str:
    r"""Escape what is no letter, sign or space: names from outside may hold commands to the terminal, or new lines.

    >>> printable("größe \x1b[31m\n")
    'größe \\x1b[31m\\n'
    """
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def ending(output: OutputOptions, run: PrintOptions) -> tuple[Path, bool, int, str]:
    """Return what requests end with: the folder, whether it is overwritten, the seed, and the command for the page."""
    return output.out, output.force, run.seed, given_command()


def given_command() -> str:
    """Write the command that was given, for the page that it makes."""
    return shlex.join(["backlight", *sys.argv[1:]])
