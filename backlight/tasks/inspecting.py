"""The verb `inspect`: what a model is made of, and what its weights add to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backlight.classifier.predictions import Prediction
from backlight.core.errors import UsageError
from backlight.core.progress import Progress
from backlight.models.inspect import ModelSummary, RandomComparison, compare_random, inspect_model
from backlight.models.sidecar import folder_of, write_passport
from backlight.tasks.loading import (
    DEFAULT_MODEL,
    Model,
    ModelRequest,
    as_classifier,
    doubts_of,
    model_name,
    with_model,
)
from backlight.tasks.outcome import Outcome, plain_json

_BAR = 24


@dataclass(frozen=True)
class InspectRequest:
    """Which model; with a picture also what random and trained weights say about it.

    With `write_passport` a `model.json` is written beside the weights, or into the working folder.

    >>> InspectRequest("classic_cnn").compare_random
    False
    """

    model: Model = DEFAULT_MODEL
    picture: Path | None = None
    compare_random: bool = False
    seed: int = 0
    write_passport: bool = False
    force: bool = False


def inspect(request: InspectRequest, *, progress: Progress | None = None) -> Outcome:
    """Describe what a model is made of: size, work, head and layers; the result is a `ModelSummary`.

    Raises UsageError for a comparison without a picture, and as `load`, `inspect_model` and `compare_random` do.

    >>> from backlight import load
    >>> inspect(InspectRequest(load("classic_cnn", random=True))).document["head"]["classes"]
    10
    """
    if request.compare_random and request.picture is None:
        raise UsageError("--compare-random without a picture", hint="backlight inspect cat.jpg --compare-random")
    classifier = as_classifier(request.model, request.seed)
    image = classifier.read(request.picture).image if request.picture is not None else None
    summary = inspect_model(classifier)
    document = with_model(classifier, summary.to_json())
    lines = (*_summary(summary), *classifier.notes)
    if request.compare_random and image is not None:
        comparison = compare_random(classifier, image, seed=request.seed)
        document, lines = document | {"compare_random": comparison.to_json()}, tuple(_comparison(comparison))
    warnings = doubts_of(classifier)
    if not request.write_passport:
        return Outcome(plain_json(document), lines, warnings=warnings, result=summary)
    file = write_passport(classifier, _folder_of(request.model), force=request.force)
    return Outcome(plain_json(document | {"passport": file}), (*lines, str(file)), (file,), (), warnings, summary)


def _folder_of(model: Model) -> Path:
    weights = model.weights if isinstance(model, ModelRequest) else None
    return folder_of(model_name(model), weights)


def _summary(summary: ModelSummary) -> Iterator[str]:
    channels, height, width = summary.input
    yield f"model          {summary.model.name}"
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
