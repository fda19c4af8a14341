"""The verb `evaluate`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backlight.cli.model import load_classifier
from backlight.cli.options import DEFAULT_MODEL, Limit, ModelOptions, OutputOptions, RunOptions, WeightOptions
from backlight.cli.output import emit, leave, say
from backlight.errors import UsageError

if TYPE_CHECKING:
    from backlight.evaluate.compare import Comparison
    from backlight.evaluate.evaluate import Evaluation
    from backlight.evaluate.slices import Slice

_SHOWN = 10


def evaluate(
    data: Annotated[str, typer.Option(help="DATA: a folder, .npz, .parquet, CIFAR batches, shapes:...")],
    weights: WeightOptions,
    run: RunOptions,
    output: OutputOptions,
    model: Annotated[
        list[str] | None, typer.Option(help="As elsewhere; given twice, the second is compared with the first.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="train | val | test | all; test, else all, if left out.")] = None,
    tta: Annotated[bool, typer.Option("--tta", help="Average over shifted and mirrored views.")] = False,
    slice_: Annotated[str | None, typer.Option("--slice", help="FILE.csv:column: accuracy per value.")] = None,
    table: Annotated[bool, typer.Option("--table", help="Write the table of samples into --out.")] = False,
    limit: Limit = None,
) -> None:
    """Say how good a classifier is on a data set, where it fails, and whether a second one is better."""
    from backlight.data import load_data
    from backlight.evaluate.compare import compare
    from backlight.evaluate.evaluate import evaluate as evaluate_classifier
    from backlight.evaluate.slices import read_slices
    from backlight.files import require_new
    from backlight.intake import Failed
    from backlight.progress import terminal_progress

    names = model or [DEFAULT_MODEL]
    if len(names) > 2 or (len(names) == 2 and weights.weights):
        raise UsageError(f"{len(names)} models with these weights", expected="one, or two models by name")
    values = read_slices(slice_) if slice_ else None
    path = require_new(output.out / "samples.parquet", output.force) if table else None
    pictures = load_data(data, split=split, limit=limit)
    found: list[Evaluation] = []
    for name in names:
        classifier = load_classifier(ModelOptions(**vars(weights), model=name), run.seed)
        found.append(
            evaluate_classifier(
                classifier, pictures, batch_size=run.batch_size, tta=tta, progress=terminal_progress(run.quiet)
            )
        )
    comparison = compare(found[0].table, found[1].table) if len(found) == 2 else None
    slices = found[0].slices(values) if values is not None else []
    if path is not None:
        found[0].table.write(path)
    if run.json:
        emit(_document(found, comparison, slices))
    else:
        for line in _lines(found, comparison, slices):
            say(line)
    leave([Failed(one.id, one.error) for one in found[0].failed])


def _document(found: list[Evaluation], comparison: Comparison | None, slices: list[Slice]) -> dict[str, Any]:
    document = found[0].to_json()
    if slices:
        document["slices"] = [one.to_json() for one in slices]
    if comparison is not None:
        document["second"], document["comparison"] = found[1].to_json(), comparison.to_json()
    return document


def _lines(found: list[Evaluation], comparison: Comparison | None, slices: list[Slice]) -> Iterator[str]:
    for number, one in enumerate(found):
        low, high = one.accuracy_interval
        if len(found) > 1:
            yield f"model {number + 1}"
        yield f"{len(one.table)} pictures, split {one.split}"
        yield f"  accuracy  {one.accuracy:.2%}  (95 % interval {low:.2%} to {high:.2%})"
        yield f"  top-5     {one.top5:.2%}"
        yield f"  calibration error  {one.reliability.ece:.2%}"
        yield "  worst classes"
        scores = sorted(one.per_class.items(), key=lambda pair: (pair[1].accuracy, pair[0]))
        yield from (f"    {score.accuracy:7.2%}  {name}  ({score.n} pictures)" for name, score in scores[:_SHOWN])
        yield "  most confused"
        yield from (
            f"    {pair.count:5d}  {pair.true} taken for {pair.predicted}  ({pair.fraction:.1%} of {pair.true})"
            for pair in one.most_confused[:_SHOWN]
        )
    yield from (f"  {one.accuracy:7.2%}  {one.value or '(none)'}  ({one.n} pictures)" for one in slices)
    if comparison is not None:
        low, high = comparison.interval
        yield f"model 2 minus model 1: {comparison.difference:+.2%} (95 % interval {low:+.2%} to {high:+.2%})"
        yield f"  right only by model 1: {comparison.only_first}, only by model 2: {comparison.only_second}"
        yield f"  McNemar p = {comparison.p:.3g}"
