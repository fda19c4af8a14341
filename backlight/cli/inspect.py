"""The verb `inspect`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backlight.cli.model import load_classifier
from backlight.cli.options import ModelOptions, RunOptions
from backlight.cli.output import emit, say
from backlight.errors import UsageError

if TYPE_CHECKING:
    from backlight.classifier.predictions import Prediction
    from backlight.models.inspect import ModelSummary, RandomComparison

_BAR = 24


def inspect(
    model: ModelOptions,
    run: RunOptions,
    picture: Annotated[Path | None, typer.Argument(metavar="PICTURE", help="A picture to look at.")] = None,
    compare_random: Annotated[
        bool, typer.Option("--compare-random", help="What random and trained weights say about the picture.")
    ] = False,
) -> None:
    """Describe what a model is made of: size, work, head and layers."""
    from backlight.models import compare_random as compare
    from backlight.models import inspect_model

    if compare_random and picture is None:
        raise UsageError("--compare-random without a picture", hint="backlight inspect cat.jpg --compare-random")
    classifier = load_classifier(model, run.seed)
    image = classifier.read(picture).image if picture is not None else None
    summary = inspect_model(classifier)
    comparison = compare(classifier, image, seed=run.seed) if compare_random and image is not None else None
    if run.json:
        emit(summary.to_json() | ({"compare_random": comparison.to_json()} if comparison else {}))
        return
    lines = _comparison(comparison) if comparison else (*_summary(summary), *map(str, classifier.notes))
    for line in lines:
        say(line)


def _summary(summary: ModelSummary) -> Iterator[str]:
    channels, height, width = summary.input
    yield f"model          {summary.model}"
    yield f"parameters     {summary.parameters:,}"
    yield f"multiply-adds  {summary.multiply_adds:,} for one picture"
    yield f"input          {channels} channels, {height} x {width}"
    if summary.head:
        yield f"head           {summary.head.in_features} inputs, {summary.head.classes} classes ({summary.head.name})"
    yield "layers"
    name_width = max((len(layer.name) for layer in summary.layers), default=0)
    type_width = max((len(layer.type) for layer in summary.layers), default=0)
    for layer in summary.layers:
        calls = f"  runs {layer.calls} times" if layer.calls > 1 else ""
        shape = " x ".join(map(str, layer.shape[1:]))
        yield f"  {layer.name:<{name_width}}  {layer.type:<{type_width}}  {shape}{calls}"


def _comparison(comparison: RandomComparison) -> Iterator[str]:
    for title, rows in (
        ("trained weights", comparison.trained),
        (f"random weights, seed {comparison.seed}", comparison.random),
    ):
        yield title
        yield from _bars("logit", rows, [row.logit for row in rows], "{:8.3f}")
        yield from _bars("probability", rows, [row.probability for row in rows], "{:8.2%}")


def _bars(quantity: str, rows: tuple[Prediction, ...], values: list[float], form: str) -> Iterator[str]:
    yield f"  {quantity}"
    largest = max(max(map(abs, values)), 1e-12)
    for row, value in zip(rows, values, strict=True):
        # Probabilities share the scale 0 to 1, so that a flat answer looks flat.
        share = value if quantity == "probability" else abs(value) / largest
        bar = ("-" if value < 0 else "█") * max(1, round(share * _BAR))
        yield f"    {form.format(value)}  {bar:<{_BAR}}  {row.label}"
