"""The verb `calibrate`: the temperature at which a model's confidence means what it says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backlight.classifier import Classifier
from backlight.core.errors import DataError, UsageError, counted
from backlight.core.escaping import json_text
from backlight.core.files import require_new, write_text
from backlight.core.locks import held_folder
from backlight.core.progress import Progress
from backlight.data import Dataset, load_data
from backlight.data.load import load_splits
from backlight.data.trained import trained_on
from backlight.evaluate import Calibration, match_labels
from backlight.evaluate import calibrate as find_temperature
from backlight.evaluate import evaluate as evaluate_classifier
from backlight.evaluate.calibration import reliability
from backlight.evaluate.temperature import CALIBRATION, write_calibration
from backlight.page.sections import Section
from backlight.report.calibration import reliability_diagram
from backlight.report.exports import SUMMARY, write_exports
from backlight.runs.folder import RunFolder, is_run
from backlight.runs.lock import run_lock
from backlight.table import Table
from backlight.tasks.loading import (
    Model,
    ModelRequest,
    as_classifier,
    doubts_of,
    matched,
    measured_by,
    model_name,
    named,
    told,
    with_model,
)
from backlight.tasks.outcome import Outcome, command, plain_json
from backlight.train.prepare import prepare_data

EXPORTS = "calibrate-tables"
"""The folder of tables and figures beside the temperature."""


@dataclass(frozen=True)
class CalibrateRequest:
    """Which model is calibrated: a run on the val part of its own data, or any model on that of `data`.

    Data without parts of its own has a val part to the run that was trained on it; other models see all of it.

    >>> CalibrateRequest("runs/first").data is None
    True
    """

    model: Model | Path
    data: str | None = None
    limit: int | None = None
    force: bool = False
    batch_size: int = 32
    seed: int = 0
    out: Path = Path("backlight-out")


def calibrate(request: CalibrateRequest, *, progress: Progress | None = None) -> Outcome:
    """Find the temperature at which a model's confidence means what it says, on pictures that it was not trained on.

    It is kept in the folder of a run, for other models in `out`, and beside it, in `calibrate-tables`, what it changes:
    a table, and the diagrams of reliability. The result is a `Calibration`. Raises UsageError where
    one is there already or a model that is no run has no data, DataError where the val part is not the run's own and
    no other data is named.

    >>> import tempfile
    >>> from backlight.tasks import TrainRequest, train
    >>> run = Path(tempfile.mkdtemp()) / "run"
    >>> trained = train(TrainRequest("shapes:n=40,size=16,classes=2", run, settings=("epochs=1",)))
    >>> calibrate(CalibrateRequest(run)).document["own_val"]
    True
    """
    model = str(request.model) if isinstance(request.model, Path) else request.model
    name = model_name(model)
    other_weights = isinstance(model, ModelRequest) and (model.weights is not None or model.random)
    run = Path(name) if is_run(name) and not isinstance(model, Classifier) and not other_weights else None
    with run_lock(run, "calibrated") if run else held_folder(request.out):
        return _calibrate(request, model, run, progress)


def _calibrate(request: CalibrateRequest, model: Model, run: Path | None, progress: Progress | None) -> Outcome:
    name = model_name(model)
    target = require_new((run or request.out) / CALIBRATION, request.force)
    exports = require_new(target.with_name(EXPORTS), request.force)
    known = (RunFolder(run).info.get("data") or {}) if run else {}
    spec = request.data or str(known.get("name", ""))
    if not spec:
        raise UsageError(f"{name} without data", expected="pictures to calibrate on", hint="--data DATA")
    classifier = as_classifier(model, request.seed)
    pictures = _pictures(classifier, spec, name)
    classifier = named(classifier, pictures)
    same = run is not None and pictures.fingerprint() == known.get("val")
    if run and request.data is None and not same:
        raise DataError(
            f"the val part of {spec} is not the one that {run} was chosen on", hint="--data with the run's data"
        )
    pictures = pictures.limited(request.limit)
    found = evaluate_classifier(classifier, pictures, batch_size=request.batch_size, progress=progress)
    result = find_temperature(found.table)
    exported = _export(exports, found.table, result)
    document = plain_json({"run": name, "data": spec, "own_val": same, "split": pictures.split, **result.to_json()})
    if run:
        write_calibration(run, document)
    else:
        text = json_text(document | {"weights": classifier.passport.weights})
        write_text(target, text + "\n")
    warnings = ["these are other pictures than those that the run was chosen on"] if run and not same else []
    warnings += [result.note] if result.note else []
    return Outcome(
        plain_json(with_model(classifier, document)),
        (*measured_by(classifier), *_lines(result, model, pictures, target)),
        (target, *exported),
        found.failed,
        (*doubts_of(classifier), *told(pictures), *warnings),
        result,
    )


def _export(folder: Path, before: Table, found: Calibration) -> tuple[Path, ...]:
    sections = [
        Section(name, name.capitalize(), reliability_diagram(reliability(table)))
        for name, table in (("before", before), ("after", found.after))
    ]
    return write_exports({SUMMARY: found.summary_table()}, sections, folder)


def _pictures(classifier: Classifier, spec: str, name: str) -> Dataset:
    """Read a run's val part as training made it, resized and without broken pictures; else the data's own, or all."""
    if is_run(name):
        part = load_data(spec, split="val", trained_on=trained_on(name))
        return prepare_data(classifier, match_labels(classifier, part))
    splits = load_splits(spec)
    split = "val" if splits.marked and "val" in splits.parts else None
    return matched(classifier, load_data(spec, split=split))


def _lines(found: Calibration, model: Model, data: Dataset, target: Path) -> Iterator[str]:
    yield f"{counted(len(found.after), 'picture')}, split {data.split}: temperature {found.temperature:.4g}"
    yield f"  calibration error  {found.ece_before:.2%} before, {found.ece_after:.2%} after"
    yield f"  loss               {found.loss_before:.4f} before, {found.loss_after:.4f} after"
    yield "  accuracy on the share of pictures of which it is most sure"
    yield from (f"    {one['coverage']:7.1%}  {one['accuracy']:.2%}" for one in found.coverage())
    yield f"  {target}"
    yield f"  {target.with_name(EXPORTS)}"
    yield "  after is on the pictures that it was found on"
    if not isinstance(model, Classifier):
        weights = model.weights if isinstance(model, ModelRequest) else None
        where = ("--weights", weights) if weights else ()
        name = model_name(model)
        out = () if target.parent == Path(name) else ("--out", target.parent)
        words = ("evaluate", "--model", name, *where, "--data", data.name, "--calibrated", *out)
        yield f"  on others: {command(*words)}"
