"""The verb `style`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backlight.cli.options import Frames, ModelOptions, OutputOptions, RunOptions
from backlight.cli.output import run_task
from backlight.grammar import parse_numbers


def style(
    content: Annotated[Path, typer.Argument(metavar="CONTENT", help="The picture to paint.")],
    styles: Annotated[list[Path], typer.Argument(metavar="STYLE", help="Pictures whose style to take.")],
    model: ModelOptions,
    run: RunOptions,
    output: OutputOptions,
    preset: Annotated[str, typer.Option(help="default | gatys | cs231n")] = "default",
    blend: Annotated[str | None, typer.Option(help="Weights of the styles, as in 2,1.")] = None,
    keep_colors: Annotated[bool, typer.Option("--keep-colors", help="Keep the content's colors.")] = False,
    longest: Annotated[int, typer.Option(min=16, help="The painting's longer side, in pixels.")] = 384,
    steps: Annotated[int | None, typer.Option(min=1, help="Per scale; the preset's own number if left out.")] = None,
    frames: Frames = 0,
) -> None:
    """Paint a picture in the style of others."""
    from backlight.tasks.styling import StyleRequest
    from backlight.tasks.styling import style as task

    request = StyleRequest(
        content,
        tuple(styles),
        model.request,
        preset,
        None if blend is None else parse_numbers(blend),
        keep_colors,
        longest,
        steps,
        frames,
        output.out,
        output.force,
        run.seed,
    )
    run_task(run, lambda progress: task(request, progress=progress))
