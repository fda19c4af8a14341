"""The verb `universal`."""

from __future__ import annotations

from typing import Annotated

import typer

from backlight.cli.options import DATA_FORMS, ModelOptions, OutputOptions, PartOptions, RunOptions
from backlight.cli.output import ending
from backlight.cli.sweeping import SweepOptions, run_sweep


def universal(
    data: Annotated[str, typer.Option(help=DATA_FORMS)],
    model: ModelOptions,
    part: PartOptions,
    run: RunOptions,
    output: OutputOptions,
    sweep: SweepOptions,
    patch: Annotated[str | None, typer.Option(help="circle | square: a patch to print; else a perturbation.")] = None,
    target: Annotated[str | None, typer.Option(help="Class that all are to be taken for: label | index.")] = None,
    on: Annotated[str | None, typer.Option(help="Measure on this DATA, and learn from all of --data.")] = None,
    share: Annotated[float, typer.Option(help="Share of --data that is learned from, without --on.")] = 0.5,
    eps: Annotated[str | None, typer.Option(help="Perturbation: largest change, 10/255 if left out.")] = None,
    norm: Annotated[str | None, typer.Option(help="Perturbation: linf | l2.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Perturbation: passes over the pictures, 10 if left out.")] = None,
    patch_size: Annotated[
        str | None, typer.Option(help="Patch: its side, of the picture's shorter side, 0.2-0.5 if left out.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Patch: steps of learning, 500 if left out.")] = None,
    step_size: Annotated[str | None, typer.Option(help="eps / 10, of a patch 5/255, if left out.")] = None,
    print_size: Annotated[str, typer.Option(help="Patch: how wide it is printed, as in 10cm, 80mm, 4in.")] = "10cm",
    no_pictures: Annotated[bool, typer.Option("--no-pictures", help="A page of numbers only.")] = False,
) -> None:
    """Learn one perturbation or printed patch for many pictures, and say how often it fools others."""
    from backlight.tasks.fooling_many import UniversalOfDataRequest, read_universal_request
    from backlight.tasks.fooling_many import universal as task

    own = {"eps": eps, "norm": norm, "epochs": epochs, "size": patch_size, "steps": steps, "step_size": step_size}
    asked = read_universal_request(patch, target=target, share=share, **own)
    request = UniversalOfDataRequest(
        part.of(data),
        model.request,
        asked,
        None if on is None else part.of(on),
        print_size,
        not no_pictures,
        sweep.resumes,
        *ending(output, run),
        run.batch_size,
    )
    run_sweep(run, sweep, lambda progress, whose: task(request, progress=progress, pulling=whose))
