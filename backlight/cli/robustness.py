"""The verb `robustness`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backlight.cli.model import load_classifier
from backlight.cli.options import Limit, ModelOptions, OutputOptions, RunOptions
from backlight.cli.output import emit, leave, say
from backlight.errors import UsageError

if TYPE_CHECKING:
    from backlight.attack.robustness import Robustness

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


def robustness(
    data: Annotated[str, typer.Option(help="DATA: a folder, .npz, .parquet, CIFAR batches, shapes:...")],
    model: ModelOptions,
    run: RunOptions,
    output: OutputOptions,
    attack: Annotated[str, typer.Option(help="`backlight methods` lists the attacks.")] = "autoattack",
    target: Annotated[
        str | None, typer.Option(help="Class to reach: label | index | second | least-likely | random.")
    ] = None,
    norm: Annotated[str | None, typer.Option(help="linf | l2 | l1; the attack's own if left out.")] = None,
    eps: Annotated[str | None, typer.Option(help="Largest change in pixel units, as in 8/255.")] = None,
    steps: Annotated[str | None, typer.Option(help="N, or 1,3,10,20: accuracy after each of these.")] = None,
    step_size: Annotated[str | None, typer.Option(help="In the norm's units, as in 2/255.")] = None,
    objective: Annotated[str | None, typer.Option(help="cross-entropy | logit | probability | margin | dlr")] = None,
    mode: Annotated[str, typer.Option(help="exact | audited: fab-t and square on some survivors only.")] = "exact",
    audit: Annotated[int, typer.Option(min=1, help="How many survivors an audited run tests.")] = 100,
    budget: Annotated[
        str | None, typer.Option(help="Stop after 90s, 10m or 2h; what is left is a random part.")
    ] = None,
    curve: Annotated[bool, typer.Option("--curve", help="Also the accuracy over eps.")] = False,
    split: Annotated[str | None, typer.Option(help="train | val | test | all; test, else all, if left out.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the finished blocks in --out.")] = False,
    limit: Limit = None,
) -> None:
    """Attack a data set and say how much of it withstands, what broke each image, and what to doubt."""
    from backlight.attack.evaluation import evaluate_robustness
    from backlight.attack.robustness import RobustnessRequest
    from backlight.data import load_data
    from backlight.engine import make_engine
    from backlight.files import require_new
    from backlight.intake import Failed
    from backlight.progress import terminal_progress

    counts = _counts(steps)
    options: dict[str, Any] = {
        "steps": max(counts) if counts else None,
        "step_size": step_size,
        "objective": objective,
    }
    request = RobustnessRequest(attack, norm, eps, target, mode, _seconds(budget), audit, curve, options=options)
    _ = request.stages(), request.checked, request.threat  # wrong options are told before anything is loaded
    path = require_new(output.out / "robustness.parquet", output.force or resume)
    cache = output.out / "robustness-blocks"
    if not resume and cache.exists() and not output.force:
        raise UsageError(f"{cache} holds finished blocks", hint="--resume to go on, --force to begin anew")
    pictures = load_data(data, split=split, limit=limit)
    classifier = load_classifier(model, run.seed)
    engine = make_engine(str(classifier.device))
    found = evaluate_robustness(
        classifier,
        pictures,
        request,
        seed=run.seed,
        cache=cache,
        engine=engine,
        progress=terminal_progress(run.quiet or not engine.is_main),
    )
    if engine.is_main:
        found.table.write(path)
        if run.json:
            emit(found.to_json() | ({"by_steps": found.over_steps(counts)} if len(counts) > 1 else {}))
        else:
            for line in _lines(found, counts):
                say(line)
    leave([Failed(one.id, one.error) for one in found.failed])


def _counts(steps: str | None) -> list[int]:
    if steps is None:
        return []
    try:
        counts = [int(part) for part in steps.split(",")]
    except ValueError:
        counts = [0]
    if min(counts) < 1:
        raise UsageError(f"--steps {steps}", expected="a number from 1, or several with commas between")
    return counts


def _seconds(budget: str | None) -> float | None:
    if budget is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", budget.strip())
    if match is None or float(match[1]) == 0:
        raise UsageError(f"--budget {budget}", expected="a time such as 90s, 10m or 2h")
    return float(match[1]) * _UNITS[match[2]]


def _lines(found: Robustness, counts: list[int]) -> Iterator[str]:
    low, high = found.interval
    document = found.to_json()
    part = "" if len(found.table) == found.planned else f" of {found.planned}"
    yield f"{len(found.table)}{part} pictures, {found.name}, {found.request.threat.describe()}"
    yield f"  clean accuracy   {found.clean_accuracy:.2%}   top-5 {document['clean_top5']:.2%}"
    yield f"  robust accuracy  {found.robust_accuracy:.2%}   top-5 {document['robust_top5']:.2%}"
    yield f"  95 % interval of the robust accuracy  {low:.2%} to {high:.2%}"
    yield from (f"  left after {name:<15} {left:.2%}" for name, left in found.by_attack.items())
    if len(counts) > 1:
        yield from (
            f"  left after {count:>4} steps      {left:.2%}" for count, left in found.over_steps(counts).items()
        )
    if found.curve is not None:
        yield from (
            f"  at eps {eps:<9.4g}       {left:.2%}" for eps, left in zip(found.curve.eps, found.curve.accuracy)
        )
    if found.median_distance is not None:
        yield f"  median {found.request.threat.norm} distance of the broken  {found.median_distance:.4g}"
        yield "  " + ", ".join(f"{share:.1%} still fool as {kind.upper()}" for kind, share in found.survival.items())
    yield f"  {document['forwards']:,} forwards, {document['backwards']:,} backwards, {found.seconds:.1f} s"
    for verdict in found.verdicts:
        yield f"  {verdict.name}: {verdict.found}\n    {verdict.remedy}"
