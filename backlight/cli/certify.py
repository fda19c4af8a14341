"""The verb `certify`."""

from __future__ import annotations

from typing import Annotated

import typer

from backlight.cli.options import DATA_FORMS, ModelOptions, OutputOptions, PartOptions, RunOptions
from backlight.cli.output import ending
from backlight.cli.sweeping import SweepOptions, run_sweep


def certify(
    data: Annotated[str, typer.Option(help=DATA_FORMS)],
    model: ModelOptions,
    part: PartOptions,
    run: RunOptions,
    output: OutputOptions,
    sweep: SweepOptions,
    method: Annotated[
        str, typer.Option(help="smoothing:sigma=0.25,n=1000 (any network) | ibp | crown (small ones).")
    ] = "smoothing",
    eps: Annotated[str, typer.Option(help="How far ibp and crown look, as in 2/255.")] = "2/255",
    no_attack: Annotated[bool, typer.Option("--no-attack", help="Attack nothing beside it.")] = False,
) -> None:
    """Prove that no small change makes a picture be named otherwise, and say for how many it can be proved."""
    from backlight.tasks.certifying import CertifyDataRequest, CertifyRequest
    from backlight.tasks.certifying import certify as task

    asked = CertifyRequest(method, eps, attacked=not no_attack)
    request = CertifyDataRequest(
        part.of(data), model.request, asked, sweep.resumes, *ending(output, run), batch_size=run.batch_size
    )
    run_sweep(run, sweep, lambda progress, whose: task(request, progress=progress, pulling=whose))
