"""The verb `visualize`."""

from __future__ import annotations

from typing import Annotated

import typer

from backlight.cli.options import Frames, ModelOptions, OutputOptions, RunOptions, Steps
from backlight.cli.output import run_task


def visualize(
    what: Annotated[str, typer.Argument(metavar="WHAT", help="class | feature | invert | dream")],
    subjects: Annotated[
        list[str], typer.Argument(metavar="SUBJECT", help="Labels (or all), LAYER:CHANNEL, or picture files.")
    ],
    model: ModelOptions,
    run: RunOptions,
    output: OutputOptions,
    layer: Annotated[str | None, typer.Option(help="The layer of invert and dream.")] = None,
    preset: Annotated[str, typer.Option(help="For class and feature: lucid | cs231n.")] = "lucid",
    steps: Steps = None,
    frames: Frames = 0,
    longest: Annotated[int, typer.Option(min=16, help="The longer side of a dream, in pixels.")] = 384,
) -> None:
    """Make pictures that show what a class, a channel or a layer of the model looks for."""
    from backlight.tasks.visualizing import VisualizeRequest
    from backlight.tasks.visualizing import visualize as task

    request = VisualizeRequest(
        what, tuple(subjects), model.request, layer, preset, steps, frames, longest, output.out, output.force, run.seed
    )
    run_task(run, lambda progress: task(request, progress=progress))
