"""The verb `audit`."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from backlight.cli.options import (
    DATA_FORMS,
    DEFAULT_MODEL,
    GateOptions,
    OutputOptions,
    PairOptions,
    PartOptions,
    RunOptions,
)
from backlight.cli.output import given_command
from backlight.cli.sweeping import SweepOptions, run_sweep


def audit(
    data: Annotated[str, typer.Option(help=DATA_FORMS)],
    weights: PairOptions,
    part: PartOptions,
    run: RunOptions,
    output: OutputOptions,
    sweep: SweepOptions,
    gates: GateOptions,
    model: Annotated[list[str] | None, typer.Option(help="As elsewhere; given twice, the second is compared.")] = None,
    train: Annotated[str | None, typer.Option(help="The data that it was trained on: leaks, baselines.")] = None,
    against: Annotated[str | None, typer.Option(help="Data of the field: shift, unknown inputs.")] = None,
    depth: Annotated[str, typer.Option(help="quick: one look at each picture | normal | deep.")] = "normal",
    slice_: Annotated[list[str] | None, typer.Option("--slice", help="FILE.csv:column: tried as weak slices.")] = None,
    no_pictures: Annotated[bool, typer.Option("--no-pictures", help="A page of numbers only.")] = False,
) -> None:
    """Say what can be trusted about a classifier and its data, and judge it by gates."""
    from backlight.tasks.auditing import AuditRequest
    from backlight.tasks.auditing import audit as task

    wanted = part.of(data)
    # A split of the data is asked for by name; of other data sets it is the part that fits them.
    known = None if train is None else replace(wanted, data=train, split="train" if train == data else None)
    field = None if against is None else replace(wanted, data=against, split=None)
    first, *others = weights.each(model or [DEFAULT_MODEL])
    request = AuditRequest(
        wanted, first, known, field, depth, gates.request, not no_pictures, sweep.resumes, output.out, output.force,
        run.seed, run.batch_size, given_command(), others[0] if others else None, tuple(slice_ or ()),
    )  # fmt: skip
    run_sweep(run, sweep, lambda progress, whose: task(request, progress=progress, pulling=whose))
