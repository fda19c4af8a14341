"""The verb `calibrate`."""

from __future__ import annotations

from typing import Annotated

import typer

from backlight.cli.options import Limit, OutputOptions, RunOptions, WeightOptions
from backlight.cli.output import run_task
from backlight.core.errors import UsageError


def calibrate(
    weights: WeightOptions,
    run: RunOptions,
    output: OutputOptions,
    spec: Annotated[
        str | None,
        typer.Argument(metavar="MODEL", help="A finished run, or any model as --model elsewhere.", show_default=False),
    ] = None,
    model: Annotated[str | None, typer.Option(help="The same, as an option.", show_default=False)] = None,
    data: Annotated[
        str | None, typer.Option(help="DATA whose val part is used; that of the run if left out.", show_default=False)
    ] = None,
    limit: Limit = None,
) -> None:
    """Find the temperature at which a model's confidence means what it says, on validation pictures."""
    from backlight.tasks.calibrating import CalibrateRequest
    from backlight.tasks.calibrating import calibrate as task

    named = [one for one in (spec, model) if one is not None]
    if len(named) != 1:
        raise UsageError(f"{len(named)} models", expected="one: backlight calibrate MODEL --data DATA")
    request = CalibrateRequest(weights.of(named[0]), data, limit, output.force, run.batch_size, run.seed, output.out)
    run_task(run, lambda progress: task(request, progress=progress))
