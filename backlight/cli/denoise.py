"""The verb `denoise`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backlight.cli.options import Limit, OutputOptions, Pictures, RunOptions
from backlight.cli.output import finish

if TYPE_CHECKING:
    from backlight.tasks.denoise import DenoisedPicture


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
    from backlight.engine.progress import terminal_progress
    from backlight.grammar import parse_number
    from backlight.images import find_pictures
    from backlight.tasks.denoise import denoise_pictures

    paths = find_pictures(pictures)[:limit]
    done, failed = denoise_pictures(
        paths,
        output.out,
        reference=reference,
        force=output.force,
        progress=terminal_progress(run.quiet),
        data_norm=data_norm,
        smooth_norm=smooth_norm,
        alpha=alpha if alpha == "auto" else parse_number(alpha),
        lr=None if lr is None else parse_number(lr),
        steps=steps,
        solver=solver,
        seed=run.seed,
    )
    sheets = _sweep(done, output, data_norm, smooth_norm) if sweep else []
    lines = [*chain.from_iterable(map(_describe, done)), *sheets]
    finish([one.to_json() for one in done], failed, as_json=run.json, text=lambda: lines)


def _sweep(done: list[DenoisedPicture], output: OutputOptions, data_norm: str, smooth_norm: str) -> list[str]:
    from backlight.denoise import sweep_sheet
    from backlight.files import require_new
    from backlight.images import open_picture, to_tensor, write_png

    paths = []
    for one in done:
        target = require_new(Path(one.png).with_name(f"{Path(one.png).stem}-sweep.png"), output.force)
        image = to_tensor(open_picture(one.path))
        write_png(target, sweep_sheet(image, data_norm=data_norm, smooth_norm=smooth_norm))
        paths.append(str(target))
    return paths


def _describe(one: DenoisedPicture) -> Iterator[str]:
    score = "" if one.psnr is None else f", PSNR {one.psnr:.2f} dB, SSIM {one.ssim:.3f}"
    yield f"{one.path}: {one.png}"
    yield f"  loss {one.start:.5g} -> {one.objective:.5g}, alpha {one.alpha:.3g}{score}"
    yield f"  {one.solver}, {one.steps} steps ({one.stopped})"
