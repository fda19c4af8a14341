"""The verbs that look at pictures or at a model: `predict` and `inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backlight.cli.options import RUN, Force, Limit, ModelOptions, Pictures, RunOptions
from backlight.cli.output import run_task
from backlight.cli.sweeping import SweepOptions, run_sweep
from backlight.core.errors import UsageError


def predict(
    pictures: Pictures,
    model: ModelOptions,
    run: RunOptions,
    sweep: SweepOptions,
    top: Annotated[int, typer.Option(min=1, help="Classes shown per picture.")] = 5,
    limit: Limit = None,
    cover: Annotated[
        str | None, typer.Option(help="Hide a square X,Y,SIDE of what the model sees, in shares: 0.5,0.4,0.2.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Keep a table there, made in blocks, and print counts.", rich_help_panel=RUN)
    ] = None,
    force: Force = False,
) -> None:
    """Name the most likely classes of pictures."""
    from backlight.tasks.predicting import PredictRequest
    from backlight.tasks.predicting import predict as task

    if out is None and (sweep.given() or force):
        given = ", ".join((*sweep.given(), *(("--force",) if force else ())))
        raise UsageError(f"{given} without --out", expected="--out DIR, where predictions are kept")
    asked = (run.seed, run.batch_size, cover, out, sweep.resumes, force)
    request = PredictRequest(tuple(pictures), model.request, top, limit, *asked)
    run_sweep(run, sweep, lambda progress, whose: task(request, progress=progress, pulling=whose))


def inspect(
    model: ModelOptions,
    run: RunOptions,
    picture: Annotated[Path | None, typer.Argument(metavar="PICTURE", help="A picture to look at.")] = None,
    compare_random: Annotated[
        bool, typer.Option("--compare-random", help="What random and trained weights say about the picture.")
    ] = False,
    write_passport: Annotated[
        bool,
        typer.Option(
            "--write-passport",
            help="Write normalization, geometry, labels and outputs as model.json beside the weights, else here.",
        ),
    ] = False,
    force: Force = False,
) -> None:
    """Describe what a model is made of: size, work, head and layers."""
    from backlight.tasks.inspecting import InspectRequest
    from backlight.tasks.inspecting import inspect as task

    request = InspectRequest(model.request, picture, compare_random, run.seed, write_passport, force)
    run_task(run, lambda progress: task(request, progress=progress))
