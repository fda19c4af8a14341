"""The verb `transfer`."""

from __future__ import annotations

from typing import Annotated

import typer

from backlight.cli.options import DATA_FORMS, OutputOptions, PairOptions, PartOptions, RunOptions
from backlight.cli.output import ending
from backlight.cli.sweeping import SweepOptions, run_sweep


def transfer(
    data: Annotated[str, typer.Option(help=DATA_FORMS)],
    weights: PairOptions,
    part: PartOptions,
    run: RunOptions,
    output: OutputOptions,
    sweep: SweepOptions,
    model: Annotated[list[str], typer.Option(help="As elsewhere, and twice or more often: each is attacked.")],
    attack: Annotated[
        str,
        typer.Option(
            help="Names with commas between. Made to transfer: rules i-fgsm mi ni pi vmi pgn mef, views dim tim si "
            "admix bsr ssa, joined by +, as in mi+dim+tim."
        ),
    ] = "i-fgsm,mi,mi+dim",
    eps: Annotated[str, typer.Option(help="Largest change of a color value, as in 8/255.")] = "16/255",
    steps: Annotated[int | None, typer.Option(min=1, help="10 for attacks made to transfer, if left out.")] = None,
    step_size: Annotated[str | None, typer.Option(help="eps / steps, if left out, as in 2/255.")] = None,
    objective: Annotated[str | None, typer.Option(help="cross-entropy | logit | probability | margin | dlr")] = None,
    ensemble: Annotated[
        bool, typer.Option("--ensemble", help="Also attack each by all others together: three models or more.")
    ] = False,
    no_pictures: Annotated[bool, typer.Option("--no-pictures", help="A page of numbers only.")] = False,
) -> None:
    """Attack each model, show the others what came of it, and say who fools whom."""
    from backlight.tasks.transferring import TransferOfDataRequest, TransferRequest
    from backlight.tasks.transferring import transfer as task

    options = {"steps": steps, "step_size": step_size, "objective": objective}
    asked = TransferRequest.of(attack, eps=eps, ensemble=ensemble, options=options)
    request = TransferOfDataRequest(
        part.of(data),
        weights.each(model, most=len(model)),
        asked,
        not no_pictures,
        sweep.resumes,
        *ending(output, run),
        run.batch_size,
    )
    run_sweep(run, sweep, lambda progress, whose: task(request, progress=progress, pulling=whose))
