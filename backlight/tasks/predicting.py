"""The verb `predict`: the most likely classes of picture files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backlight.core.progress import Progress
from backlight.evaluate import Predictions
from backlight.evaluate import predict as predict_pictures
from backlight.evaluate.doubts import doubt_normalization_on_files
from backlight.images import find_pictures
from backlight.images.cover import Square
from backlight.tasks.loading import DEFAULT_MODEL, Model, as_classifier, doubts_of, take_doubt
from backlight.tasks.outcome import Outcome, one_per_input


@dataclass(frozen=True)
class PredictRequest:
    """Which pictures, by which model, and how many classes of each; `cover` hides a square `X,Y,SIDE`.

    >>> PredictRequest((Path("cat.jpg"),)).top
    5
    """

    pictures: tuple[Path, ...]
    model: Model = DEFAULT_MODEL
    top: int = 5
    limit: int | None = None
    seed: int = 0
    batch_size: int = 32
    cover: str | None = None


def predict(request: PredictRequest, *, progress: Progress | None = None) -> Outcome:
    """Name the most likely classes of pictures; the result is `Predictions`.

    Raises UsageError where no picture is found, and as `load` and `backlight.evaluate.predict` do.

    >>> import tempfile, torch
    >>> from backlight import load
    >>> from backlight.images import write_png
    >>> path = Path(tempfile.mkdtemp()) / "gray.png"
    >>> write_png(path, torch.full((3, 32, 32), 0.5))
    >>> outcome = predict(PredictRequest((path,), load("classic_cnn", random=True), top=2))
    >>> len(outcome.document[0]["predictions"])
    2
    """
    square = None if request.cover is None else Square.parse(request.cover)
    paths = find_pictures(request.pictures)[: request.limit]
    classifier = as_classifier(request.model, request.seed)
    found = predict_pictures(
        classifier, paths, top=request.top, batch_size=request.batch_size, progress=progress, cover=square
    )
    take_doubt(classifier, doubt_normalization_on_files(classifier, paths, batch_size=request.batch_size))
    return one_per_input(found.done, found.failed, _lines(found), warnings=doubts_of(classifier), result=found)


def _lines(found: Predictions) -> Iterator[str]:
    for one in found:
        yield one.path if one.true is None else f"{one.path}  (true: {one.true})"
        for prediction in one.predictions:
            yield f"  {prediction.probability:7.2%}  {prediction.label}  (logit {prediction.logit:.2f})"
