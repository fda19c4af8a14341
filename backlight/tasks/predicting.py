"""The verb `predict`: the most likely classes of picture files, told at once or kept as a table."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backlight.classifier import Classifier
from backlight.classifier.predictions import class_name
from backlight.core.errors import counted
from backlight.core.progress import Progress
from backlight.evaluate import Predictions, predict_files
from backlight.evaluate import predict as predict_pictures
from backlight.evaluate.doubts import doubt_normalization_on_files
from backlight.images import find_pictures
from backlight.images.cover import Square
from backlight.tasks.loading import DEFAULT_MODEL, Model, as_classifier, doubts_of, measured_by, take_doubt, with_model
from backlight.tasks.outcome import Outcome, one_per_input, plain_json
from backlight.tasks.pulling import ALONE, Pulling
from backlight.tasks.result_folder import ResultFolder, require_fresh

_SHOWN = 10


@dataclass(frozen=True)
class PredictRequest:
    """Which pictures, by which model, and how many classes of each; `cover` hides a square `X,Y,SIDE`.

    With `out` predictions are kept there as a table; `resume` goes on from the blocks that are finished in it, `force`
    begins anew.

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
    out: Path | None = None
    resume: bool = False
    force: bool = False


def predict(request: PredictRequest, *, progress: Progress | None = None, pulling: Pulling = ALONE) -> Outcome:
    """Name the most likely classes of pictures; the result is `Predictions`.

    With `out` a table and a document go there, the document counts, and the result is `Samples`; several processes
    share the work, only the main one tells, and interrupted, its finished blocks stay.

    Raises UsageError where no picture is found, for several processes without `out`, and where something is in `out`
    already; else as `load` and `backlight.evaluate.predict` do.

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
    if request.out is None:
        pulling.check_alone("predictions that are only told", hint="--out DIR, where they are kept")
    elif not (request.resume or request.force):
        folder = ResultFolder(request.out, "predict")
        require_fresh(folder.blocks, (folder.table, folder.document))
    paths = find_pictures(request.pictures)[: request.limit]
    classifier = as_classifier(request.model, request.seed)
    if request.out is not None:
        return _kept(classifier, paths, square, request, ResultFolder(request.out, "predict"), progress, pulling)
    found = predict_pictures(
        classifier, paths, top=request.top, batch_size=request.batch_size, progress=progress, cover=square
    )
    take_doubt(classifier, doubt_normalization_on_files(classifier, paths, batch_size=request.batch_size))
    return one_per_input(found.done, found.failed, _lines(found), warnings=doubts_of(classifier), result=found)


def _kept(
    classifier: Classifier,
    paths: list[Path],
    cover: Square | None,
    request: PredictRequest,
    folder: ResultFolder,
    progress: Progress | None,
    pulling: Pulling,
) -> Outcome:
    """Predict in blocks that stay in the folder, and write the table of all."""
    start, batch_size = time.perf_counter(), request.batch_size
    with folder.sweeping(classifier.device, fresh=not request.resume, progress=progress, pulling=pulling) as shared:
        found = predict_files(
            classifier,
            paths,
            top=request.top,
            batch_size=batch_size,
            cover=cover,
            folder=shared.blocks,
            engine=shared.engine,
            progress=shared.progress,
        )
        if not shared.is_main:
            return Outcome(result=found)
        take_doubt(classifier, doubt_normalization_on_files(classifier, paths, batch_size=batch_size))
        table = folder.write_table(found.table, classifier.labels)
        counts = Counter(class_name(classifier.labels, one) for one in found.table["prediction"].tolist())
        classes = dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
        seconds = round(time.perf_counter() - start, 3)
        told = {"n": len(found.table), "failed": len(found.failed), "classes": classes, "seconds": seconds}
        document = with_model(classifier, told | {"table": table})
        lines = (*measured_by(classifier), *_counts(document), str(table))
        files = (table, folder.write_document(document))
        return Outcome(plain_json(document), lines, files, found.failed, doubts_of(classifier), found)


def _counts(document: Mapping[str, Any]) -> Iterator[str]:
    classes = list(document["classes"].items())
    yield f"{counted(document['n'], 'picture')}, {document['seconds']:.1f} s; the most likely class of"
    yield from (f"  {count:6d}  {name}" for name, count in classes[:_SHOWN])
    if len(classes) > _SHOWN:
        yield f"  and {counted(len(classes) - _SHOWN, 'class')} more"


def _lines(found: Predictions) -> Iterator[str]:
    for one in found:
        yield one.path if one.true is None else f"{one.path}  (true: {one.true})"
        for prediction in one.predictions:
            yield f"  {prediction.probability:7.2%}  {prediction.label}  (logit {prediction.logit:.2f})"
