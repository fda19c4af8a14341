"""The verb `export`."""

from __future__ import annotations

from typing import Annotated

import typer

from backlight.cli.options import OutputOptions, RunOptions, WeightOptions
from backlight.cli.output import run_task


def export(
    model: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, or any model as --model elsewhere.")],
    weights: WeightOptions,
    run: RunOptions,
    output: OutputOptions,
    format_: Annotated[str, typer.Option("--format", help="onnx | state-dict")] = "onnx",
) -> None:
    """Write a classifier with its normalization inside, read it back and compare it on 32 pictures."""
    from backlight.tasks.exporting import ExportRequest
    from backlight.tasks.exporting import export as task

    request = ExportRequest(weights.of(model), format_, output.out, output.force, run.seed)
    run_task(run, lambda progress: task(request, progress=progress))
