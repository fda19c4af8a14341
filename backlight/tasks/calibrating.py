"""The verb `calibrate`: the temperature at which a run's confidence means what it says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backlight.data import load_data
from backlight.data.trained import trained_on
from backlight.engine.progress import Progress
from backlight.errors import DataError, counted
from backlight.evaluate import Calibration, match_labels
from backlight.evaluate import calibrate as find_temperature
from backlight.evaluate import evaluate as evaluate_classifier
from backlight.evaluate.temperature import CALIBRATION, write_calibration
from backlight.files import require_new
from backlight.models import load
from backlight.runs.folder import RunFolder
from backlight.tasks.loading import assumed_of, measured_by, with_model
from backlight.tasks.outcome import Outcome, command, plain_json
from backlight.train.prepare import prepare_data


@dataclass(frozen=True)
class CalibrateRequest:
    """Which run is calibrated, on the val part of its own data, or of other `data`.

    >>> CalibrateRequest(Path("runs/first")).data is None
    True
    """

    run: Path
    data: str | None = None
    device: str = "auto"
    limit: int | None = None
    force: bool = False
    batch_size: int = 32


def calibrate(request: CalibrateRequest, *, progress: Progress | None = None) -> Outcome:
    """Find the temperature at which a run's confidence means what it says, on its validation pictures.

    It is kept in the run's folder; the result is a `Calibration`. Raises UsageError where one is there already,
    FileError for what is no run, DataError where the val part is not the run's own and no other data is named.

    >>> import tempfile
    >>> from backlight.tasks import TrainRequest, train
    >>> run = Path(tempfile.mkdtemp()) / "run"
    >>> trained = train(TrainRequest("shapes:n=40,size=16,classes=2", run, settings=("epochs=1",)))
    >>> calibrate(CalibrateRequest(run)).document["own_val"]
    True
    """
    known = RunFolder(request.run).info.get("data") or {}
    target = require_new(request.run / CALIBRATION, request.force)
    spec = request.data or str(known.get("name", ""))
    classifier = load(str(request.run), device=request.device)
    # What a run notes of its data is what training makes of it: resized, and without broken pictures.
    pictures = prepare_data(
        classifier, match_labels(classifier, load_data(spec, split="val", trained_on=trained_on(str(request.run))))
    )
    same = pictures.fingerprint() == known.get("val")
    if request.data is None and not same:
        raise DataError(
            f"the val part of {spec} is not the one that {request.run} was chosen on",
            hint="--data with the run's data",
        )
    pictures = pictures.limited(request.limit)
    found = evaluate_classifier(classifier, pictures, batch_size=request.batch_size, progress=progress)
    result = find_temperature(found.table)
    document = plain_json({"run": request.run, "data": spec, "own_val": same, **result.to_json()})
    write_calibration(request.run, document)
    warnings = [] if same else ["these are other pictures than those that the run was chosen on"]
    warnings += [result.note] if result.note else []
    return Outcome(
        plain_json(with_model(classifier, document)),
        (*measured_by(classifier), *_lines(result, request.run, spec, target)),
        (target,),
        found.failed,
        (*assumed_of(classifier), *warnings),
        result,
    )


def _lines(found: Calibration, folder: Path, data: str, target: Path) -> Iterator[str]:
    yield f"{counted(len(found.after), 'validation picture')}: temperature {found.temperature:.4g}"
    yield f"  calibration error  {found.ece_before:.2%} before, {found.ece_after:.2%} after"
    yield f"  loss               {found.loss_before:.4f} before, {found.loss_after:.4f} after"
    yield "  accuracy on the share of pictures of which it is most sure"
    yield from (f"    {one['coverage']:7.1%}  {one['accuracy']:.2%}" for one in found.coverage())
    yield f"  {target}"
    yield "  after is on the pictures that it was found on; on others:"
    yield f"  {command('evaluate', '--model', folder, '--data', data, '--calibrated')}"
