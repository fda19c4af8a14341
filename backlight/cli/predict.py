"""The verb `predict`."""

from __future__ import annotations

from typing import Annotated

import typer

from backlight.cli.options import Limit, ModelOptions, Pictures, RunOptions
from backlight.cli.output import run_task


def predict(
    pictures: Pictures,
    model: ModelOptions,
    run: RunOptions,
    top: Annotated[int, typer.Option(min=1, help="Classes shown per picture.")] = 5,
    limit: Limit = None,
) -> None:
    """Name the most likely classes of pictures."""
    from backlight.tasks.predicting import PredictRequest
    from backlight.tasks.predicting import predict as task

    request = PredictRequest(tuple(pictures), model.request, top, limit, run.seed, run.batch_size)
    run_task(run, lambda progress: task(request, progress=progress))
