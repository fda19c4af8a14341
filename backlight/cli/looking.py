"""The verbs that look at pictures or at a model: `predict` and `inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backlight.cli.options import Force, Limit, ModelOptions, Pictures, RunOptions
from backlight.cli.output import run_task


def predict(
    pictures: Pictures,
    model: ModelOptions,
    run: RunOptions,
    top: Annotated[int, typer.Option(min=1, help="Classes shown per picture.")] = 5,
    limit: Limit = None,
    cover: Annotated[
        str | None, typer.Option(help="Hide a square X,Y,SIDE of what the model sees, in shares: 0.5,0.4,0.2.")
    ] = None,
) -> None:
    """Name the most likely classes of pictures."""
    from backlight.tasks.predicting import PredictRequest
    from backlight.tasks.predicting import predict as task

    request = PredictRequest(tuple(pictures), model.request, top, limit, run.seed, run.batch_size, cover)
    run_task(run, lambda progress: task(request, progress=progress))


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
