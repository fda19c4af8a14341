"""Accuracy by a property of the pictures that stands in a CSV file, worst first."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import numpy as np

from backlight.core.errors import DataError, FileError, UsageError, did_you_mean
from backlight.core.escaping import as_text
from backlight.data.columns import PATHS, plain, read_columns
from backlight.table import Table
from backlight.table.statistics import wilson


class Slice(NamedTuple):
    """The pictures that share a value: how many, their accuracy, and its 95% Wilson interval.

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
    """Read `FILE.csv:column` as a value per id; the file's columns are found as those of a list of pictures are.

    The pictures stand in a column that is called `path`, `file`, `filename`, `image`, `image_id` or `id`; a comma, a
    semicolon or a tab is between columns. A row that is too short has an empty value. Raises UsageError for a spec
    without a column, FileError for other files, repeated ids and unknown columns.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "light.csv"
    >>> _ = path.write_text("image;light\\na.png;day\\nb.png;night\\n")
    >>> read_slices(f"{path}:light")
    {'a.png': 'day', 'b.png': 'night'}
    """
    name, colon, column = spec.rpartition(":")
    if not colon or not column or not name:
        raise UsageError(f"slice {spec!r}", expected="FILE.csv:column")
    path = Path(name)
    columns = read_columns(path)
    key, wanted = columns.place(PATHS), columns.place([plain(column)])
    if key is None or wanted is None:
        known = list(columns.header) or list(columns.rows[0] if columns.rows else ())
        raise FileError(path, f"has the columns {known}", expected=f"{column!r}, and one of {', '.join(PATHS[:6])}")
    # A row that is too short has no value: its picture stands with those that the file does not name.
    rows = [tuple(as_text(row[place]) if place < len(row) else "" for place in (key, wanted)) for row in columns.rows]
    values = {picture: value for picture, value in rows}
    if len(values) < len(rows):
        raise FileError(path, "names an id twice", expected="one row per id")
    return values


def require_values(ids: Sequence[str], values: Mapping[str, str]) -> None:
    """Raise DataError when no picture has a value.

    >>> require_values(["a.png"], {"a.png": "day"})
    """
    if not any(value is not None for value in values_of(ids, values)):
        some = list(ids[:1])
        hint = did_you_mean(some[0], values) if some else ""
        raise DataError("no picture has a value", expected=f"ids such as {some}", hint=hint)


def values_of(ids: Sequence[str], values: Mapping[str, str]) -> list[str | None]:
    """Return the value of each picture, None where it has none.

    A picture is found by its id, else by its id without a suffix, else by its file's name, with or without a suffix, as
    far as no two pictures share it.

    >>> values_of(["cats/a.png", "b.png"], {"a": "day", "b.png": "night"})
    ['day', 'night']
    """
    forms = [(one, os.path.splitext(one)[0], one.rsplit("/", 1)[-1], PurePath(one).stem) for one in ids]
    shared = [Counter(names) for names in zip(*forms, strict=True)]

    def value(names: tuple[str, ...]) -> str | None:
        known = (values.get(name) for name, counts in zip(names, shared, strict=True) if counts[name] == 1)
        return next((one for one in known if one is not None), None)

    return [value(names) for names in forms]


def accuracy_by_slice(table: Table, values: Mapping[str, str]) -> list[Slice]:
    """Return the accuracy of each slice, worst first; pictures without a value stand under an empty one.

    Raises DataError when no picture has a value.

    >>> table = Table.of(id=["a", "b"], label=[0, 0], prediction=[0, 1])
    >>> [(one.value, one.accuracy) for one in accuracy_by_slice(table, {"a": "day", "b": "night"})]
    [('night', 0.0), ('day', 1.0)]
    """
    require_values(table.ids, values)
    found = [value or "" for value in values_of(table.ids, values)]
    right = table["label"] == table["prediction"]
    groups = np.array(found, dtype=object)
    slices = []
    for value in sorted(set(found)):
        mask = groups == value
        good, count = int(right[mask].sum()), int(mask.sum())
        slices.append(Slice(value, count, good / count, wilson(good, count)))
    return sorted(slices, key=lambda one: (one.accuracy, -one.n, one.value))
