"""The verb `denoise`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backlight.cli.options import Limit, OutputOptions, Pictures, RunOptions
from backlight.cli.output import run_task
from backlight.grammar import parse_number


def denoise(
    pictures: Pictures,
    run: RunOptions,
    output: OutputOptions,
    data_norm: Annotated[str, typer.Option(help="l1 | l2: the distance from the noisy picture.")] = "l1",
    smooth_norm: Annotated[str, typer.Option(help="l1 | l2: the differences of neighbors.")] = "l1",
    alpha: Annotated[str, typer.Option(help="How smooth: a number, or auto from the estimated noise.")] = "auto",
    lr: Annotated[str | None, typer.Option(help="The gradient solver's rate, as in 0.9/255.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="The solver's own number if left out.")] = None,
    solver: Annotated[str, typer.Option(help="auto | gradient | scikit-image | deep-prior")] = "auto",
    reference: Annotated[Path | None, typer.Option(help="The clean picture, for PSNR and SSIM.")] = None,
    sweep: Annotated[bool, typer.Option("--sweep", help="Also a sheet over alpha and learning rate.")] = False,
    limit: Limit = None,
) -> None:
    """Remove noise from pictures: near the noisy one, and smooth."""
    from backlight.tasks.denoising import DenoiseRequest
    from backlight.tasks.denoising import denoise as task

    request = DenoiseRequest(
        tuple(pictures),
        data_norm,
        smooth_norm,
        alpha if alpha == "auto" else parse_number(alpha),
        None if lr is None else parse_number(lr),
        steps,
        solver,
        reference,
        sweep,
        limit,
        output.out,
        output.force,
        run.seed,
    )
    run_task(run, lambda progress: task(request, progress=progress))
