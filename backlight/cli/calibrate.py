"""The verb `calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backlight.cli.options import Device, Limit, RunOptions
from backlight.cli.output import run_task


def calibrate(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a finished run.")],
    run: RunOptions,
    data: Annotated[
        str | None, typer.Option(help="DATA whose val part is used; that of the run if left out.", show_default=False)
    ] = None,
    device: Device = "auto",
    force: Annotated[bool, typer.Option("--force", help="Replace the temperature that was found before.")] = False,
    limit: Limit = None,
) -> None:
    """Find the temperature at which a run's confidence means what it says, on its validation pictures."""
    from backlight.tasks.calibrating import CalibrateRequest
    from backlight.tasks.calibrating import calibrate as task

    request = CalibrateRequest(folder, data, device, limit, force, run.batch_size)
    run_task(run, lambda progress: task(request, progress=progress))
