"""The verb `attack`."""

from __future__ import annotations

from typing import Annotated

import typer

from backlight.cli.options import AttackOptions, Frames, Limit, ModelOptions, OutputOptions, Pictures, RunOptions, Steps
from backlight.cli.output import given_command, run_task


def attack(
    pictures: Pictures,
    model: ModelOptions,
    how: AttackOptions,
    run: RunOptions,
    output: OutputOptions,
    method: Annotated[str, typer.Option(help="`backlight methods` lists the attacks.")] = "pgd",
    steps: Steps = None,
    limit: Limit = None,
    frames: Frames = 0,
) -> None:
    """Change pictures a little so that the classifier errs; write them as PNG and judge the files."""
    from backlight.tasks.attacking import AttackRequest
    from backlight.tasks.attacking import attack as task

    request = AttackRequest(
        tuple(pictures),
        model.request,
        method,
        steps=steps,
        limit=limit,
        frames=frames,
        out=output.out,
        force=output.force,
        seed=run.seed,
        batch_size=run.batch_size,
        command=given_command(),
        **vars(how),
    )
    run_task(run, lambda progress: task(request, progress=progress))
