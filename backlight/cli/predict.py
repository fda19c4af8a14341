"""The verb `predict`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from backlight.cli.model import load_classifier
from backlight.cli.options import Limit, ModelOptions, Pictures, RunOptions
from backlight.cli.output import finish

if TYPE_CHECKING:
    from backlight.evaluate.predicting import Predictions


def predict(
    pictures: Pictures,
    model: ModelOptions,
    run: RunOptions,
    top: Annotated[int, typer.Option(min=1, help="Classes shown per picture.")] = 5,
    limit: Limit = None,
) -> None:
    """Name the most likely classes of pictures."""
    from backlight.engine.progress import terminal_progress
    from backlight.evaluate.predicting import predict as predict_pictures
    from backlight.images import find_pictures

    paths = find_pictures(pictures)[:limit]
    classifier = load_classifier(model, run.seed)
    found = predict_pictures(
        classifier, paths, top=top, batch_size=run.batch_size, progress=terminal_progress(run.quiet)
    )
    finish([one.to_json() for one in found], found.failed, as_json=run.json, text=lambda: _lines(found))


def _lines(found: Predictions) -> Iterator[str]:
    for one in found:
        yield one.path
        for prediction in one.predictions:
            yield f"  {prediction.probability:7.2%}  {prediction.label}  (logit {prediction.logit:.2f})"
