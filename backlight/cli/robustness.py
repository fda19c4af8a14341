"""The verb `robustness`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backlight.cli.model import load_classifier
from backlight.cli.options import DATA_FORMS, Limit, ModelOptions, OutputOptions, RunOptions
from backlight.cli.output import data_name, emit, leave, resuming, say, warn
from backlight.cli.robustness_folder import (
    BLOCKS,
    asked_of,
    check_folder,
    failed_pictures,
    forget_blocks,
    write_results,
)
from backlight.errors import UsageError

if TYPE_CHECKING:
    from backlight.attack.request import RobustnessRequest
    from backlight.attack.robustness import Robustness
    from backlight.classifier import Classifier
    from backlight.data import Dataset


def robustness(
    data: Annotated[str, typer.Option(help=DATA_FORMS)],
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
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the blocks in --out; with --force also at a larger eps.")
    ] = False,
    limit: Limit = None,
) -> None:
    """Attack a data set and say how much of it withstands, what broke each image, and what to doubt."""
    from backlight.attack.request import RobustnessRequest
    from backlight.data import load_data
    from backlight.evaluate.samples import match_labels

    counts = _counts(steps)
    options = {"steps": max(counts) if counts else None, "step_size": step_size, "objective": objective}
    request = RobustnessRequest(attack, norm, eps, target, mode, _seconds(budget), audit, curve, options=options)
    _ = request.stages(), request.checked, request.threat  # wrong options are told before anything is loaded
    asked = asked_of(request, model=model.model, data=data, split=split, limit=limit, seed=run.seed)
    check_folder(output, resume, asked)
    pictures = load_data(data, split=split, limit=limit)
    classifier = load_classifier(model, run.seed)
    pictures = match_labels(classifier, pictures).with_channels(classifier.channels)
    anew = output.force and not resume
    found = _evaluate(classifier, pictures, request, run, output.out / BLOCKS, anew, model.memory_format)
    if found is None:
        return
    document = found.to_json() | ({"by_steps": found.over_steps(counts)} if len(counts) > 1 else {})
    page = write_results(output.out, classifier, found, document | {"request": asked}, counts, data_name(pictures))
    if run.json:
        emit(document | {"html": str(page)})
    else:
        for line in (*_lines(found, counts), str(page)):
            say(line)
    leave(failed_pictures(found))


def _evaluate(
    classifier: Classifier,
    pictures: Dataset,
    request: RobustnessRequest,
    run: RunOptions,
    blocks: Path,
    anew: bool,
    memory_format: str,
) -> Robustness | None:
    """Run the evaluation in this and all other processes; only the main one gets the outcome to tell of."""
    from backlight.attack.evaluation import evaluate_robustness
    from backlight.engine.processes import make_engine
    from backlight.engine.progress import terminal_progress

    engine = make_engine(str(classifier.device))
    if engine.is_main and anew:
        forget_blocks(blocks)
    engine.barrier()
    try:
        found = evaluate_robustness(
            classifier,
            pictures,
            request,
            seed=run.seed,
            cache=blocks,
            engine=engine,
            progress=terminal_progress(run.quiet or not engine.is_main),
            memory_format=memory_format,
        )
    except KeyboardInterrupt:
        if engine.is_main:
            warn(f"resume with: {resuming()}")
        raise
    return found if engine.is_main else None


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
    from backlight.grammar import parse_duration

    if budget is None:
        return None
    seconds = parse_duration(budget)
    if seconds == 0:
        raise UsageError(f"--budget {budget}", expected="a time such as 90s, 10m or 2h")
    return seconds


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
        if found.median_smallest is not None:
            yield f"  median of the smallest that fool  {found.median_smallest:.4g}"
        yield "  " + ", ".join(f"{share:.1%} still fool as {kind.upper()}" for kind, share in found.survival.items())
    yield f"  {document['forwards']:,} forwards, {document['backwards']:,} backwards, {found.seconds:.1f} s"
    for verdict in found.verdicts:
        yield f"  {verdict.name}: {verdict.found}"
        yield f"    {verdict.remedy}"
