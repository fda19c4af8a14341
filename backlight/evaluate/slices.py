"""Accuracy by a property of the pictures that stands in a CSV file, worst first."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from backlight.errors import DataError, FileError, UsageError, did_you_mean
from backlight.table import Table
from backlight.table.statistics import wilson

_LARGEST = 256 * 1024**2  # bytes


class Slice(NamedTuple):
    """The pictures that share a value: how many, their accuracy, and its 95 % Wilson interval.

    >>> Slice("night", 50, 0.8, (0.67, 0.89)).to_json()["interval"]
    [0.67, 0.89]
    """

    value: str
    n: int
    accuracy: float
    interval: tuple[float, float]

    def to_json(self) -> dict[str, Any]:
        """Return `{"value","n","accuracy","interval"}`."""
        return {**self._asdict(), "interval": list(self.interval)}


def read_slices(spec: str) -> dict[str, str]:
    """Read `FILE.csv:column` as a value per id; the file has a header with a column `id` or `path`.

    A row that is too short has an empty value. Raises UsageError for a spec without a column, FileError for other
    files, repeated ids and unknown columns.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "light.csv"
    >>> _ = path.write_text("id,light\\na.png,day\\nb.png,night\\n")
    >>> read_slices(f"{path}:light")
    {'a.png': 'day', 'b.png': 'night'}
    """
    name, colon, column = spec.rpartition(":")
    if not colon or not column or not name:
        raise UsageError(f"slice {spec!r}", expected="FILE.csv:column")
    path = Path(name)
    try:
        if path.stat().st_size > _LARGEST:
            raise FileError(path, "is too large", expected=f"at most {_LARGEST >> 20} MiB")
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            known = list(reader.fieldnames or [])
            key = next((one for one in ("id", "path") if one in known), None)
            if key is None or column not in known:
                raise FileError(path, f"has the columns {known}", expected=f"id and {column}")
            # A row that is too short has no value: its picture stands with those that the file does not name.
            rows = [(row[key] or "", row[column] or "") for row in reader]
    except (OSError, csv.Error, UnicodeDecodeError) as error:
        raise FileError(path, f"cannot be read ({error})", expected="a CSV file") from None
    values = dict(rows)
    if len(values) < len(rows):
        raise FileError(path, "names an id twice", expected="one row per id")
    return values


def require_values(ids: Sequence[str], values: Mapping[str, str]) -> None:
    """Raise DataError when no picture has a value.

    >>> require_values(["a.png"], {"a.png": "day"})
    """
    if not any(identity in values for identity in ids):
        some = list(ids[:1])
        hint = did_you_mean(some[0], values) if some else ""
        raise DataError("no picture has a value", expected=f"ids such as {some}", hint=hint)


def accuracy_by_slice(table: Table, values: Mapping[str, str]) -> list[Slice]:
    """Return the accuracy of each slice, worst first; pictures without a value stand under an empty one.

    Raises DataError when no picture has a value.

    >>> table = Table.of(id=["a", "b"], label=[0, 0], prediction=[0, 1])
    >>> [(one.value, one.accuracy) for one in accuracy_by_slice(table, {"a": "day", "b": "night"})]
    [('night', 0.0), ('day', 1.0)]
    """
    require_values(table.ids, values)
    found = [values.get(identity, "") for identity in table.ids]
    right = table["label"] == table["prediction"]
    groups = np.array(found, dtype=object)
    slices = []
    for value in sorted(set(found)):
        mask = groups == value
        good, count = int(right[mask].sum()), int(mask.sum())
        slices.append(Slice(value, count, good / count, wilson(good, count)))
    return sorted(slices, key=lambda one: (one.accuracy, -one.n, one.value))
