"""The verb `corruptions`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backlight.cli.options import DATA_FORMS, DEFAULT_MODEL, OutputOptions, PairOptions, PartOptions, RunOptions
from backlight.cli.output import ending
from backlight.cli.sweeping import SweepOptions, run_sweep


def corruptions(
    data: Annotated[str, typer.Option(help=f"{DATA_FORMS} | CIFAR-10-C or ImageNet-C as published.")],
    weights: PairOptions,
    part: PartOptions,
    run: RunOptions,
    output: OutputOptions,
    sweep: SweepOptions,
    model: Annotated[
        list[str] | None, typer.Option(help="As elsewhere; given twice, the second is compared with the first.")
    ] = None,
    kinds: Annotated[
        str,
        typer.Option(
            help="published (the fifteen) | all | noise | blur | weather | digital | NAME, with commas; none, for "
            "--stability alone."
        ),
    ] = "published",
    clean: Annotated[
        str | None, typer.Option(help="DATA before it was corrupted, where --data is CIFAR-10-C or ImageNet-C.")
    ] = None,
    severities: Annotated[str, typer.Option(help="1-5, or some: 1,3,5.")] = "1-5",
    stability: Annotated[bool, typer.Option("--stability", help="Also small shifts, turns, zooms, light.")] = False,
    frost: Annotated[Path | None, typer.Option(help="Folder of photographs of frost.")] = None,
    no_pictures: Annotated[bool, typer.Option("--no-pictures", help="A page of numbers only.")] = False,
) -> None:
    """Describe how a classifier fares under noise, blur, weather, compression and small shifts."""
    from backlight.tasks.corrupting import corruptions as task
    from backlight.tasks.corruption_request import CorruptionsRequest

    first, *second = weights.each(model or [DEFAULT_MODEL])
    request = CorruptionsRequest(
        part.of(data),
        first,
        second[0] if second else None,
        kinds,
        severities,
        stability,
        frost,
        not no_pictures,
        sweep.resumes,
        *ending(output, run),
        clean,
    )
    run_sweep(run, sweep, lambda progress, whose: task(request, progress=progress, pulling=whose))
