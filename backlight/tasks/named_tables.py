"""Tables of samples as people read them: the name of a class beside its number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from backlight.classifier.predictions import class_name
from backlight.table import Table

_OF_DATA, _OF_MODEL = ("label",), ("prediction", "attacked_prediction", "target")


def with_names(table: Table, data_labels: Sequence[str], model_labels: Sequence[str]) -> Table:
    """Return a table in which `NAME_name` stands beside every column of classes, true ones and predicted ones.

    `label` counts in `data_labels`; `prediction`, `attacked_prediction` and `target` in `model_labels`, as do columns
    such as `fog.prediction` with a list in each row. Without names the table stays as it is.

    >>> with_names(Table.of(id=["a"], label=[1], prediction=[-1]), ("cat", "dog"), ("cat", "dog")).rows()
    [{'id': 'a', 'label': 1, 'prediction': -1, 'label_name': 'dog', 'prediction_name': 'no prediction'}]
    """
    if not len(table):
        return table
    columns = {}
    for name in table.names:
        kind = name.rpartition(".")[2]
        labels = data_labels if kind in _OF_DATA else model_labels if kind in _OF_MODEL else ()
        if labels:
            columns[f"{name}_name"] = _named(labels, table[name])
    return table.with_columns(columns) if columns else table


def _named(labels: Sequence[str], values: np.ndarray) -> Any:
    import pyarrow as pa

    if values.ndim > 1 or values.dtype.kind not in "iu" or values.min() < -1 or values.max() >= len(labels):
        return _each_named(labels, values.tolist())
    names = [class_name(labels, number) for number in range(-1, len(labels))]
    return pa.array(names, pa.string()).take(pa.array(values + 1))  # millions of rows have few names


def _each_named(labels: Sequence[str], values: Any) -> Any:
    if isinstance(values, list):
        return [_each_named(labels, one) for one in values]
    return class_name(labels, int(values))
