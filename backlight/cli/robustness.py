"""The verb `robustness`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backlight.cli.options import DATA_FORMS, AttackOptions, ModelOptions, OutputOptions, PartOptions, RunOptions
from backlight.cli.output import ending
from backlight.cli.sweeping import SweepOptions, run_sweep
from backlight.core.errors import UsageError
from backlight.core.grammar import parse_duration, parse_whole


def robustness(
    data: Annotated[str, typer.Option(help=DATA_FORMS)],
    model: ModelOptions,
    how: AttackOptions,
    part: PartOptions,
    run: RunOptions,
    output: OutputOptions,
    sweep: SweepOptions,
    attack: Annotated[str | None, typer.Option(help="autoattack; apgd-l1 in l1, sigma-zero in l0.")] = None,
    steps: Annotated[str | None, typer.Option(help="N, or 1,3,10,20: accuracy after each of these.")] = None,
    mode: Annotated[str, typer.Option(help="exact | audited: fab-t and square on some survivors only.")] = "exact",
    audit: Annotated[int, typer.Option(min=1, help="How many survivors an audited run tests.")] = 100,
    budget: Annotated[
        str | None, typer.Option(help="Stop after 90s, 10m or 2h; what is left is a random part.")
    ] = None,
    card: Annotated[Path | None, typer.Option(help="Also write the entry for RobustBench: FILE.json.")] = None,
    curve: Annotated[bool, typer.Option("--curve", help="Also the accuracy over eps.")] = False,
) -> None:
    """Attack a data set and say how much of it withstands, what broke each image, and what to doubt."""
    from backlight.tasks.attacking_data import RobustnessOfDataRequest, RobustnessRequest
    from backlight.tasks.attacking_data import robustness as task

    counts = _counts(steps)
    options = {"steps": max(counts, default=None), "step_size": how.step_size, "objective": how.objective}
    asked = RobustnessRequest(
        attack, how.norm, how.eps, how.target, mode, _seconds(budget), audit, curve, options=options
    )
    wanted = part.of(data), model.request, asked, counts
    request = RobustnessOfDataRequest(*wanted, sweep.resumes, *ending(output, run), card)
    run_sweep(run, sweep, lambda progress, whose: task(request, progress=progress, pulling=whose))


def _counts(steps: str | None) -> tuple[int, ...]:
    if steps is None:
        return ()
    try:
        return tuple(parse_whole(part, low=1) for part in steps.split(","))
    except UsageError:
        raise UsageError(f"--steps {steps}", expected="a number from 1, or several with commas between") from None


def _seconds(budget: str | None) -> float | None:
    if budget is None:
        return None
    seconds = parse_duration(budget)
    if seconds == 0:
        raise UsageError(f"--budget {budget}", expected="a time such as 90s, 10m or 2h")
    return seconds
