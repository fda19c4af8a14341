"""The verb `calibrate`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backlight.cli.options import Limit, RunOptions
from backlight.cli.output import command, emit, leave, plain_json, say, warn
from backlight.errors import DataError, counted

if TYPE_CHECKING:
    from backlight.evaluate.temperature import Calibration


def calibrate(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a finished run.")],
    run: RunOptions,
    data: Annotated[
        str | None, typer.Option(help="DATA whose val part is used; that of the run if left out.", show_default=False)
    ] = None,
    device: Annotated[str, typer.Option(help="auto | cpu | cuda | cuda:1 | mps.")] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Replace the temperature that was found before.")] = False,
    limit: Limit = None,
) -> None:
    """Find the temperature at which a run's confidence means what it says, on its validation pictures."""
    from backlight.data import load_data
    from backlight.engine.progress import terminal_progress
    from backlight.evaluate.evaluating import evaluate
    from backlight.evaluate.samples import match_labels
    from backlight.evaluate.temperature import CALIBRATION, write_calibration
    from backlight.evaluate.temperature import calibrate as find_temperature
    from backlight.files import require_new
    from backlight.models import load
    from backlight.runs.folder import RunFolder
    from backlight.train.prepare import prepare_data

    known = RunFolder(folder).info.get("data") or {}
    target = require_new(folder / CALIBRATION, force)
    spec = data or str(known.get("name", ""))
    classifier = load(str(folder), device=device)
    # What a run notes of its data is what training makes of it: resized, and without broken pictures.
    pictures = prepare_data(classifier, match_labels(classifier, load_data(spec, split="val")))
    same = pictures.fingerprint() == known.get("val")
    if data is None and not same:
        raise DataError(
            f"the val part of {spec} is not the one that {folder} was chosen on", hint="--data with the run's data"
        )
    found = evaluate(
        classifier,
        pictures.limited(limit),
        batch_size=run.batch_size,
        progress=terminal_progress(run.quiet),
    )
    result = find_temperature(found.table)
    document: dict[str, Any] = plain_json({"run": str(folder), "data": spec, "own_val": same, **result.to_json()})
    write_calibration(folder, document)
    if run.json:
        emit(document)
    else:
        if not same:
            warn("these are other pictures than those that the run was chosen on")
        for line in _lines(result, folder, spec, target):
            say(line)
    leave(list(found.failed))


def _lines(found: Calibration, folder: Path, data: str, target: Path) -> Iterator[str]:
    yield f"{counted(len(found.after), 'validation picture')}: temperature {found.temperature:.4g}"
    yield f"  calibration error  {found.ece_before:.2%} before, {found.ece_after:.2%} after"
    yield f"  loss               {found.loss_before:.4f} before, {found.loss_after:.4f} after"
    yield "  accuracy on the share of pictures of which it is most sure"
    yield from (f"    {one['coverage']:7.1%}  {one['accuracy']:.2%}" for one in found.coverage())
    yield f"  {target}"
    yield "  after is on the pictures that it was found on; on others:"
    yield f"  {command('evaluate', '--model', folder, '--data', data, '--calibrated')}"
