"""The verb `check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backlight.cli.options import Force, GateOptions, LogOptions
from backlight.cli.output import run_task


def check(
    result: Annotated[Path, typer.Argument(metavar="RESULT.json", help="What a verb printed with --json, or wrote.")],
    shown: LogOptions,
    gates: GateOptions,
    force: Force = False,
) -> None:
    """Hold a result against gates: exit status 0 if all hold, 4 if one fails, 3 if one could not be judged."""
    from backlight.tasks.checking import CheckRequest
    from backlight.tasks.checking import check as task

    run_task(shown, lambda progress: task(CheckRequest(result, gates.request, force)))
