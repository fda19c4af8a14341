"""The verb `export`."""

from __future__ import annotations

from pathlib import Path
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
    card: Annotated[bool, typer.Option("--card", help="Write a model card beside it, README.md.")] = False,
    result: Annotated[list[Path] | None, typer.Option(help="JSON of a verb whose numbers the card shows.")] = None,
    license_: Annotated[str, typer.Option("--license", help="The card's licence, as in apache-2.0.")] = "",
) -> None:
    """Write a classifier with its normalization inside, read it back and compare it on 32 pictures."""
    from backlight.tasks.exporting import CardRequest, ExportRequest
    from backlight.tasks.exporting import export as task

    asked = CardRequest(tuple(result or ()), license_) if card or result or license_ else None
    request = ExportRequest(weights.of(model), format_, output.out, output.force, run.seed, asked)
    run_task(run, lambda progress: task(request, progress=progress))
