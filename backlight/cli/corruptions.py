"""The verb `corruptions`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backlight.cli.options import DATA_FORMS, ModelOptions, OutputOptions, PartOptions, RunOptions
from backlight.cli.output import given_command, run_task


def corruptions(
    data: Annotated[str, typer.Option(help=DATA_FORMS)],
    model: ModelOptions,
    part: PartOptions,
    run: RunOptions,
    output: OutputOptions,
    kinds: Annotated[
        str, typer.Option(help="published (the fifteen) | all | noise | blur | weather | digital | NAME, with commas.")
    ] = "published",
    severities: Annotated[str, typer.Option(help="1-5, or some: 1,3,5.")] = "1-5",
    stability: Annotated[bool, typer.Option("--stability", help="Also small shifts, turns, zooms, light.")] = False,
    frost: Annotated[Path | None, typer.Option(help="Folder of photographs of frost.")] = None,
    no_pictures: Annotated[bool, typer.Option("--no-pictures", help="A page of numbers only.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the blocks in --out.")] = False,
) -> None:
    """Describe how a classifier fares under noise, blur, weather, compression and small shifts."""
    from backlight.tasks.corrupting import CorruptionsRequest
    from backlight.tasks.corrupting import corruptions as task

    request = CorruptionsRequest(
        part.of(data),
        model.request,
        kinds,
        severities,
        stability,
        frost,
        not no_pictures,
        resume,
        output.out,
        output.force,
        run.seed,
        given_command(),
    )
    run_task(run, lambda progress: task(request, progress=progress))
