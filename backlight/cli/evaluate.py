"""The verb `evaluate`."""

from __future__ import annotations

from typing import Annotated

import typer

from backlight.cli.options import DATA_FORMS, DEFAULT_MODEL, OutputOptions, PairOptions, PartOptions, RunOptions
from backlight.cli.output import given_command
from backlight.cli.sweeping import SweepOptions, run_sweep


def evaluate(
    data: Annotated[str, typer.Option(help=DATA_FORMS)],
    weights: PairOptions,
    part: PartOptions,
    run: RunOptions,
    output: OutputOptions,
    sweep: SweepOptions,
    model: Annotated[
        list[str] | None, typer.Option(help="As elsewhere; given twice, the second is compared with the first.")
    ] = None,
    tta: Annotated[bool, typer.Option("--tta", help="Average over shifted and mirrored views.")] = False,
    slice_: Annotated[str | None, typer.Option("--slice", help="FILE.csv:column: accuracy per value.")] = None,
    table: Annotated[bool, typer.Option("--table", help="Write the table of samples into --out.")] = False,
    metrics: Annotated[
        str | None, typer.Option(help="More numbers, with commas between: a plug-in's, or file.py:function.")
    ] = None,
    calibrated: Annotated[
        bool, typer.Option("--calibrated", help="At the temperature that `calibrate` found.")
    ] = False,
    hardened: Annotated[
        bool,
        typer.Option("--hardened", help="Also under attack and corrupted: before (or what a RUN went on from), after."),
    ] = False,
    attacks: Annotated[
        str | None, typer.Option(help="With --hardened, weakest first; pgd:steps=20,autoattack-fast if left out.")
    ] = None,
    eps: Annotated[str | None, typer.Option(help="How large the attacks of --hardened are; 8/255 if left out.")] = None,
) -> None:
    """Describe how good a classifier is on a data set, where it fails, and whether a second one is better."""
    from backlight.core.grammar import split_specs
    from backlight.tasks.evaluating import EvaluateRequest
    from backlight.tasks.evaluating import evaluate as task
    from backlight.tasks.hardening import hardening

    request = EvaluateRequest(
        part.of(data),
        weights.each(model or [DEFAULT_MODEL]),
        tta,
        slice_,
        table,
        calibrated,
        output.out,
        output.force,
        run.seed,
        run.batch_size,
        given_command(),
        sweep.resumes,
        split_specs(metrics) if metrics else (),
        hardening(hardened, split_specs(attacks) if attacks else (), eps),
    )
    run_sweep(run, sweep, lambda progress, whose: task(request, progress=progress, pulling=whose))
