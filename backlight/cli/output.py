"""What a verb says: one JSON document or text on standard output, failures on standard error, an exit status."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from backlight.core.escaping import json_text, printable, shell_command
from backlight.core.progress import Progress, progress_bar

if TYPE_CHECKING:
    from backlight.cli.options import OutputOptions, PrintOptions
    from backlight.tasks.outcome import Outcome


def run_task(
    shown: PrintOptions, task: Callable[[Progress | None], Outcome], *, resume_without: Collection[str] = ()
) -> None:
    """Do a task with progress on a terminal, print what came of it, and leave with its exit status.

    Interrupted, say what is kept, and which command goes on: this one with --resume, without the options named.
    """
    progress, to = progress_bar(shown.quiet), getattr(shown, "log", None)
    handed = _tracker(to) if to else None  # a name that nothing has is an error before the work, not after it
    try:
        outcome = task(progress)
    except KeyboardInterrupt as interrupt:
        if kept := getattr(interrupt, "kept", ""):
            warn(kept)
        if getattr(interrupt, "resumable", False):
            words = [word for word in sys.argv[1:] if word not in (*resume_without, "--resume")]
            warn(f"resume with: {shell_command(['backlight', *words, '--resume'])}")
        raise
    deliver(handed(outcome) if handed else outcome, as_json=shown.json)


def _tracker(text: str) -> Callable[[Outcome], Outcome]:
    """Open a tracker; return what hands it an outcome."""
    from backlight.tasks.handing_over import hand_over, open_tracker

    tracker = open_tracker(text)
    return lambda outcome: hand_over(outcome, tracker, verb=sys.argv[1], command=given_command())


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
    typer.echo(json_text(document))


def ending(output: OutputOptions, run: PrintOptions) -> tuple[Path, bool, int, str]:
    """Return what requests end with: the folder, whether it is overwritten, the seed, and the command for the page."""
    return output.out, output.force, run.seed, given_command()


def given_command() -> str:
    """Write the command that was given, for the page that it makes."""
    return shell_command(["backlight", *sys.argv[1:]])
