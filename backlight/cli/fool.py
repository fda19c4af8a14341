"""The verb `fool`."""

from __future__ import annotations

from typing import Annotated

import typer

from backlight.cli.options import Limit, ModelOptions, OutputOptions, Pictures, RunOptions, Steps
from backlight.cli.output import run_task


def fool(
    pictures: Pictures,
    model: ModelOptions,
    run: RunOptions,
    output: OutputOptions,
    target: Annotated[str, typer.Option(help="label | index | second | least-likely | random")],
    preset: Annotated[str, typer.Option(help="confident | cs231n")] = "confident",
    confidence: Annotated[float | None, typer.Option(help="The probability wanted of the target.")] = None,
    steps: Steps = None,
    limit: Limit = None,
) -> None:
    """Change pictures until the classifier sees the target; show the difference and ten times the difference."""
    from backlight.tasks.fooling import FoolRequest
    from backlight.tasks.fooling import fool as task

    request = FoolRequest(
        tuple(pictures), target, model.request, preset, confidence, steps, limit, output.out, output.force, run.seed
    )
    run_task(run, lambda progress: task(request, progress=progress))
