"""The verb `jobs`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backlight.cli.options import LogOptions
from backlight.cli.output import run_task


def jobs(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The --out of a verb over a data set.")],
    shown: LogOptions,
) -> None:
    """Say how far the work in a folder is: blocks, speed, what is left, who works."""
    from backlight.tasks.watching import JobsRequest
    from backlight.tasks.watching import jobs as task

    run_task(shown, lambda progress: task(JobsRequest(out)))
