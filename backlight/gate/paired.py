"""Numbers picture by picture: what a table says of each picture where a document gives the mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from backlight.core.errors import DataError, FileError
from backlight.gate.keys import Key
from backlight.gate.result import Result
from backlight.table import Table
from backlight.table.paired import PerPicture, mean
from backlight.table.statistics import expected_calibration_error

_CLOSE = 1e-5  # tables hold 32 bits of what documents hold in 64


def calibration_error(values: np.ndarray) -> float:
    """Return the calibration error of pictures' confidence and whether they were right, `[N, 2]`."""
    return expected_calibration_error(values[:, 0], values[:, 1])


def per_picture(result: Result, key: Key, value: float) -> PerPicture | None:
    """Return the pictures behind a number of a document from the table beside it, None where there is none.

    A table whose mean is another number is of another result, and not taken.

    Raises FileError for a file beside it that is no table, or one of text where numbers are expected.
    """
    recipe = _recipe(key, result.document) if isinstance(result.document, Mapping) else None
    if recipe is None:
        return None
    names, values_of = recipe
    for path in result.tables:
        table = Table.read(path, names)
        if not len(table) or any(name not in table for name in names):
            continue
        values = np.asarray(values_of(*_columns(table, names, path)), dtype=np.float64)
        known = np.isfinite(values).reshape(len(values), -1).all(1)
        found = PerPicture(np.asarray(table.ids)[known], values[known], _STATISTICS.get(key, mean))
        if known.any() and abs(found.statistic(found.values) - value) <= _CLOSE * max(1.0, abs(value)):
            return found
    return None


_STATISTICS: dict[Key, Callable[[np.ndarray], float]] = {("ece",): calibration_error}


_Recipe = tuple[tuple[str, ...], Callable[..., np.ndarray]]


def _recipe(key: Key, document: Mapping[str, Any]) -> _Recipe | None:
    """Return which columns a number is made of, and how it follows from them; a picture that does not count is NaN."""
    match key:
        case ("accuracy" | "clean_accuracy",):
            return ("label", "prediction"), np.equal
        case ("ece",):
            return ("label", "prediction", "confidence"), _told_and_right
        case ("top5",):
            return ("rank",), lambda rank: rank < 5
        case ("robust_accuracy",):
            return ("robust",), np.asarray
        case (("loss" | "clean_top5" | "robust_top5") as name,):
            return (name,), np.asarray
        case ("per_class", name, "accuracy" | "recall" | "clean"):
            number = _class_number(document, str(name))
            return ("label", "prediction"), lambda true, said: np.where(true == number, true == said, np.nan)
        case ("kinds", kind, "accuracy"):
            return ("label", f"{kind}.prediction"), _right_on_average
        case ("kinds", kind, "accuracy", int(place)):
            return ("label", f"{kind}.prediction"), lambda label, said: label == said[:, place]
        case ("mean_accuracy",):
            kinds = document.get("counted")
            names = [f"{one}.prediction" for one in kinds] if isinstance(kinds, list) else []
            return (("label", *names), _right_on_average) if names else None
        case ("stability", name, "flip_share"):
            columns = ("prediction", f"stability.{name}.prediction")
            return columns, lambda clean, said: 1 - _right_on_average(clean, said)
        case ("methods", method, metric, "mean"):
            return (f"{method}.{metric}",), np.asarray
    return None


def _told_and_right(label: np.ndarray, said: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """Return confidence and whether it was right; what has no prediction, or no confidence, does not count."""
    known = (said >= 0) & (confidence >= 0) & (confidence <= 1 + 1e-6)
    return np.where(known[:, None], np.stack([confidence, label == said], 1), np.nan)


def _right_on_average(label: np.ndarray, *said: np.ndarray) -> np.ndarray:
    return np.mean([np.mean(one == label[:, None], axis=1) for one in said], axis=0)


def _class_number(document: Mapping[str, Any], name: str) -> int:
    model = document.get("model")
    labels = document.get("labels") or (model.get("labels") if isinstance(model, Mapping) else None)
    return labels.index(name) if isinstance(labels, list) and name in labels else -1


def _columns(table: Table, names: tuple[str, ...], path: Path) -> Iterator[np.ndarray]:
    for name in names:
        dimensions = 2 if name.endswith(".prediction") else 1
        try:
            column = np.asarray(table[name])
        except (DataError, TypeError, ValueError, AttributeError) as error:
            raise FileError(path, f"has a column {name!r} that cannot be read ({error})") from error
        if column.dtype.kind not in "biuf" or column.ndim != dimensions:
            raise FileError(path, f"has a column {name!r} of {column.dtype}", expected="numbers, as verbs write them")
        yield column
