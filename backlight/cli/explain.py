"""The verb `explain`."""

from __future__ import annotations

from typing import Annotated

import typer

from backlight.cli.options import DATA, Methods, ModelOptions, OutputOptions, PartOptions, RunOptions, SomePictures
from backlight.cli.output import given_command, run_task
from backlight.cli.sweeping import SweepOptions, run_sweep
from backlight.core.errors import UsageError


def explain(
    model: ModelOptions,
    part: PartOptions,
    run: RunOptions,
    output: OutputOptions,
    sweep: SweepOptions,
    pictures: SomePictures = None,
    methods: Methods = "saliency,gradcam,guided_backprop,guided_gradcam",
    target: Annotated[str, typer.Option(help="label | index | top | second | least-likely | random")] = "top",
    layer: Annotated[str | None, typer.Option(help="Layer for class activation maps; chosen if left out.")] = None,
    quantity: Annotated[str, typer.Option(help="logit | probability | loss")] = "logit",
    data: Annotated[
        str | None, typer.Option(help="DATA, as elsewhere, for picture files.", rich_help_panel=DATA)
    ] = None,
    score: Annotated[
        bool, typer.Option("--score", help="Score the maps beside two controls.", rich_help_panel=DATA)
    ] = False,
    metrics: Annotated[
        str | None, typer.Option(help="Which scores, with commas between; six by --score alone.", rich_help_panel=DATA)
    ] = None,
) -> None:
    """Show what in pictures speaks for a class: an overlay and a raw map per method; score them on whole data sets."""
    from backlight.core.grammar import split_specs
    from backlight.tasks import explaining
    from backlight.tasks.explaining_data import ExplainDataRequest, explain_data, scored

    _check_source(bool(pictures), bool(data), bool(score or metrics or part.split), sweep.given())
    request = explaining.ExplainRequest(
        tuple(pictures or ()),
        model.request,
        split_specs(methods),
        target,
        (layer,) if layer else None,
        quantity,
        part.limit,
        output.out,
        output.force,
        run.seed,
        run.batch_size,
        given_command(),
    )
    if not data:
        run_task(run, lambda progress: explaining.explain(request, progress=progress))
        return
    whole = ExplainDataRequest(
        part.of(data),
        request.model,
        request.asked,
        split_specs(metrics) if metrics else scored(score),
        sweep.resumes,
        output.out,
        output.force,
        run.batch_size,
        given_command(),
    )
    run_sweep(run, sweep, lambda progress, whose: explain_data(whole, progress=progress, pulling=whose))


def _check_source(pictures: bool, data: bool, scored: bool, swept: tuple[str, ...]) -> None:
    if data == pictures:
        found = "pictures and --data" if pictures else "neither pictures nor --data"
        raise UsageError(found, expected="picture files, or --data DATA")
    if not data and (scored or swept):
        given = ", ".join(("--score, --metrics, --split", *swept))
        raise UsageError(f"{given} with picture files", expected="--data DATA with it")
