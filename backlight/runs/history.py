"""What a run folder tells of its training: every epoch's numbers, which epoch was chosen, and how it was trained."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backlight.core.errors import FileError
from backlight.core.schema import record, require
from backlight.runs.folder import RunFolder
from backlight.runs.log import read_log

_INFO = record({}, {"recipe": record({})})
_SELECTED = {"loss": ("val_loss", -1), "accuracy": ("val_accuracy", 1), "robust": ("val_pgd", 1)}


@dataclass(frozen=True)
class History:
    """A run: its name, its `run.json`, and the line of the log for each finished epoch.

    >>> line = {"epoch": 1, "loss": 1.0, "accuracy": 0.5, "val_loss": 1.1, "val_accuracy": 0.4}
    >>> History("run", {}, (line, {**line, "epoch": 2, "val_loss": 0.9})).chosen["epoch"]
    2
    """

    name: str
    info: Mapping[str, Any]
    epochs: tuple[Mapping[str, Any], ...]

    @property
    def recipe(self) -> Mapping[str, Any]:
        """Return the recipe as it stands in `run.json`."""
        return dict(self.info.get("recipe", {}))

    @property
    def chosen(self) -> Mapping[str, Any]:
        """Return the first epoch that is best by validation: by loss, accuracy, or accuracy under PGD, as it selects.

        One in which training collapsed is none. Epochs in which an adversary still grew do not count; of a run that
        has no others it is the last.
        """
        select = str(self.recipe.get("select", "loss"))
        sound = [line for line in self.epochs if not line.get("stopped")] or list(self.epochs)
        grown = [line for line in sound if not line.get("growing")] or sound[-1:]
        return max(grown, key=lambda line: merit(select, line))

    @property
    def stopped(self) -> str:
        """Say why the run ended before its last epoch, where the alarm of adversarial training did it; else nothing."""
        return str(self.epochs[-1].get("stopped", ""))

    @property
    def improving(self) -> bool:
        """Whether the last epoch is the best, so that more of them might be better still."""
        return bool(self.chosen["epoch"] == self.epochs[-1]["epoch"])


def merit(select: str, scores: Mapping[str, Any]) -> float:
    """Return how good an epoch is by validation `loss`, `accuracy` or `robust` accuracy, of its line in the log.

    Higher is better, no number is worst.

    >>> scores = {"val_loss": float("nan"), "val_accuracy": 0.9, "val_pgd": 0.4}
    >>> [merit(select, scores) for select in ("loss", "accuracy", "robust")]
    [-inf, 0.9, 0.4]
    """
    name, sign = _SELECTED.get(select, _SELECTED["loss"])
    value = sign * float(scores.get(name, math.nan))
    return -math.inf if math.isnan(value) else value


def read_history(run: str | Path) -> History:
    """Read the history of a run folder.

    Raises FileError for a folder that is no run and for a log that holds no finished epoch.

    >>> import tempfile
    >>> read_history(tempfile.mkdtemp())
    Traceback (most recent call last):
    ...
    backlight.core.errors.FileError: ...
    """
    folder = RunFolder(run)
    info, path = folder.info, folder.path / "log.jsonl"
    epochs = tuple(line for line in read_log(path) if line["kind"] == "epoch")
    if not epochs:
        raise FileError(path, "holds no finished epoch", hint="backlight train --resume")
    require(folder.path / "run.json", info, _INFO)
    return History(folder.path.resolve().name, info, epochs)
