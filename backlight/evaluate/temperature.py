"""Make confidence mean what it says: one temperature, found on validation pictures, and what it changes."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from backlight.classifier import Classifier
from backlight.core.errors import DataError, FileError, UsageError
from backlight.core.escaping import json_text
from backlight.core.files import write_text
from backlight.core.reading import digest, read_json
from backlight.core.schema import leaf, nullable, record, text
from backlight.evaluate.calibration import beyond, coverage_curve, fit_temperature, reliability
from backlight.evaluate.metrics import mean_loss
from backlight.evaluate.samples import tabulate
from backlight.table import Table

CALIBRATION = "calibration.json"
"""The file in a run folder that holds what `calibrate` found."""

_POSITIVE = leaf("a number above 0", lambda value: type(value) in (int, float) and 0 < value <= sys.float_info.max)
_DOCUMENT = record({"temperature": _POSITIVE, "weights": nullable(text())})
_COVERAGES = (0.5, 0.7, 0.8, 0.9, 0.95, 1.0)


@dataclass(frozen=True)
class Calibration:
    """A temperature, and loss and calibration error before and after it on the pictures that it was found on.

    `after` is the table with the confidences and losses at that temperature; predictions stay as they were.

    >>> Calibration(1.5, 0.4, 0.3, 0.1, 0.02, Table.of(id=["a"])).temperature
    1.5
    """

    temperature: float
    loss_before: float
    loss_after: float
    ece_before: float
    ece_after: float
    after: Table
    note: str = ""
    """Why the temperature is no optimum, empty where it is one."""

    def coverage(self) -> list[dict[str, float]]:
        """Return the accuracy on the most confident share of pictures, at some shares (ties counted whole).

        Of few pictures several shares may be one and the same: it stands here once.
        """
        shares, accuracies = coverage_curve(self.after)
        places = [int((shares < wanted - 1e-9).sum()) for wanted in _COVERAGES]
        found = dict.fromkeys((float(shares[i]), float(accuracies[i])) for i in places)
        return [{"coverage": share, "accuracy": accuracy} for share, accuracy in found]

    def summary_table(self) -> Table:
        """Return a row per number: what it is before the temperature and after it, and of how many pictures."""
        metrics = {
            "temperature": (1.0, self.temperature),
            "loss": (self.loss_before, self.loss_after),
            "ece": (self.ece_before, self.ece_after),
        }
        before, after = zip(*metrics.values())
        return Table.numbered({"metric": list(metrics), "n": [len(self.after)] * 3, "before": before, "after": after})

    def to_json(self) -> dict[str, Any]:
        """Return the document of the verb `calibrate`."""
        numbers = {name: value for name, value in vars(self).items() if name not in ("after", "note")}
        return {**numbers, "n": len(self.after), "note": self.note or None, "coverage": self.coverage()}


def calibrate(table: Table) -> Calibration:
    """Find the temperature on a table of validation pictures (Guo et al. 2017), and what it changes.

    Divide logits by the temperature to use it. The error after it is on the same pictures: for an unbiased one
    evaluate on others.

    Raises DataError for a table without logits or with unlabeled pictures, and where no loss is finite.

    >>> data = tabulate(["a", "b", "c", "d"], torch.tensor([0, 0, 0, 1]), torch.tensor([[4.0, 0.0]] * 4))
    >>> found = calibrate(data)
    >>> round(found.ece_before, 2), round(found.ece_after, 2)
    (0.23, 0.0)
    """
    if "logits" not in table or "loss" not in table:
        raise DataError(f"a table with the columns {table.names}", expected="logits and loss of labeled pictures")
    finite = np.isfinite(table["loss"])
    if not finite.any():
        raise DataError(f"none of {len(table)} pictures has a finite loss", expected="a model that has predictions")
    known = table.where(finite)
    logits, labels = torch.tensor(known["logits"]), torch.tensor(known["label"])
    temperature = fit_temperature(logits, labels)
    after = at_temperature(table, temperature)
    return Calibration(
        temperature,
        mean_loss(table),
        mean_loss(after),
        reliability(table).ece,
        reliability(after).ece,
        after,
        beyond(temperature, logits, labels),
    )


def at_temperature(table: Table, temperature: float) -> Table:
    """Return a table of samples as it would be with all logits divided by a temperature; predictions stay.

    >>> data = tabulate(["a"], torch.tensor([0]), torch.tensor([[4.0, 0.0]]))
    >>> at_temperature(data, 2.0)["logits"].tolist()
    [[2.0, 0.0]]
    """
    logits = torch.tensor(table["logits"])
    divided, largest = logits.double() / temperature, torch.finfo(logits.dtype).max
    after = tabulate(table.ids, torch.tensor(table["label"]), divided)
    kept = {name: after[name].astype(table[name].dtype) for name in ("confidence", "loss") if name in after}
    kept["logits"] = torch.where(logits.isfinite(), divided.clamp(-largest, largest), divided).to(logits.dtype).numpy()
    # Division can make two logits equal; what is predicted must not depend on that.
    return after.with_columns({**kept, "prediction": table["prediction"]})


def write_calibration(run: str | Path, document: Mapping[str, Any]) -> Path:
    """Write what was found into a run folder, with the fingerprint of the weights that it holds for.

    Raises FileError where it cannot be written or the run has no weights.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "best.safetensors").write_bytes(b"weights")
    >>> _ = write_calibration(folder, {"temperature": 1.5})
    >>> read_temperature(folder)
    1.5
    """
    path = Path(run) / CALIBRATION
    whole = {**document, "weights": _fingerprint(Path(run))}
    write_text(path, json_text(whole) + "\n")
    return path


def read_temperature(run: str | Path) -> float:
    """Read the temperature that the verb `calibrate` left in a run folder.

    Raises UsageError for a model that is no run, FileError where there is no temperature, and where it was found for
    other weights than the run has now.

    >>> read_temperature("torchvision:resnet18")
    Traceback (most recent call last):
    ...
    backlight.core.errors.UsageError: the temperature of torchvision:resnet18; expected the folder of a run
    """
    if not os.path.isdir(run):
        raise UsageError(f"the temperature of {run}", expected="the folder of a run")
    path = Path(run) / CALIBRATION
    if not os.path.lexists(path):
        raise FileError(path, "does not exist", hint=f"backlight calibrate {run}")
    temperature, weights = _read(path)
    if weights != _fingerprint(Path(run)):
        raise FileError(path, "was found for other weights", hint=f"backlight calibrate {run} --force")
    return temperature


def find_temperature(classifier: Classifier, folders: Sequence[Path]) -> float:
    """Find the temperature that the verb `calibrate` left in one of some folders for a classifier's weights.

    Raises FileError where there is none, and where all are of other weights.

    >>> from torch import nn
    >>> find_temperature(Classifier.from_module(nn.Flatten()), [Path("nowhere")])
    Traceback (most recent call last):
    backlight.core.errors.FileError: nowhere/calibration.json: does not exist; try: backlight calibrate MODEL --out ...
    """
    paths = list(dict.fromkeys(folder / CALIBRATION for folder in folders))
    there = [path for path in paths if os.path.lexists(path)]
    for path in there:
        temperature, weights = _read(path)
        if weights == classifier.passport.weights:
            return temperature
    hint = f"backlight calibrate MODEL --out {folders[-1]}, with the same weights and pictures to calibrate on"
    if there:
        raise FileError(there[0], "was found for other weights", hint=hint)
    raise FileError(paths[-1], "does not exist", hint=hint)


def _read(path: Path) -> tuple[float, str | None]:
    document = read_json(path, _DOCUMENT, expected="what `backlight calibrate` wrote")
    return float(document["temperature"]), document["weights"]


def _fingerprint(run: Path) -> str:
    return digest(run / "best.safetensors", "sha256", expected="the weights of a run")
