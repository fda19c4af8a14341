"""Two models on the same pictures: by how much they differ, whether that could be chance, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from backlight.core.errors import DataError
from backlight.table import Table
from backlight.table.statistics import mcnemar, paired_interval

if TYPE_CHECKING:
    from backlight.evaluate.evaluating import Evaluation


@dataclass(frozen=True)
class Comparison:
    """The second model against the first on the same pictures.

    `only_first` and `only_second` count pictures that only one of them gets right. `difference` is second minus first
    accuracy with its 95% `interval`; `p` is McNemar's exact two-sided probability of a split at least this uneven
    if both were equally good. `disagreements` holds the pictures with different predictions.

    >>> Comparison(10, 0.5, 0.6, 1, 2, 0.1, (-0.2, 0.4), 1.0, Table.of(id=["a"])).difference
    0.1
    """

    n: int
    first: float
    second: float
    only_first: int
    only_second: int
    difference: float
    interval: tuple[float, float]
    p: float
    disagreements: Table

    def summary_table(self) -> Table:
        """Return the second accuracy minus the first, with its 95% interval `from` and `to`, in a row."""
        low, high = self.interval
        numbers = {"n": self.n, "first": self.first, "second": self.second, "difference": self.difference}
        row = {"metric": "accuracy", **numbers, "from": low, "to": high, "p": self.p}
        return Table.numbered({name: [value] for name, value in row.items()})

    def to_json(self) -> dict[str, Any]:
        """Return all numbers, and the ids of the pictures on which the models disagree."""
        numbers = {name: value for name, value in vars(self).items() if name != "disagreements"}
        return {**numbers, "interval": list(self.interval), "disagreements": self.disagreements.ids}


def joint_labels(first: Evaluation, second: Evaluation) -> tuple[str, ...]:
    """List the classes of the first model, then those that only the second one knows.

    >>> from backlight.evaluate.evaluating import Evaluation
    >>> joint_labels(Evaluation(Table.of(id=["a"]), ("cat", "dog")), Evaluation(Table.of(id=["a"]), ("owl", "cat")))
    ('cat', 'dog', 'owl')
    """
    return tuple(dict.fromkeys((*first.labels, *second.labels)))


def compare_evaluations(first: Evaluation, second: Evaluation) -> Comparison:
    """Compare two models that may number their classes differently; the disagreements are in `joint_labels`.

    Raises DataError as `compare` does.

    >>> from backlight.evaluate.evaluating import Evaluation
    >>> one = Table.of(id=["a"], label=[0], prediction=[0], confidence=[0.9])
    >>> two = Table.of(id=["a"], label=[1], prediction=[1], confidence=[0.9])
    >>> compare_evaluations(Evaluation(one, ("cat", "dog")), Evaluation(two, ("dog", "cat"))).disagreements.ids
    []
    """
    place = {name: index for index, name in enumerate(joint_labels(first, second))}
    numbers = np.array([place[name] for name in second.labels], dtype=np.int64)
    columns = {name: np.asarray(second.table[name]) for name in ("label", "prediction")}
    renamed = {name: np.where(column < 0, -1, numbers[column]) for name, column in columns.items()}
    return compare(first.table, second.table.with_columns(renamed))


def compare(first: Table, second: Table) -> Comparison:
    """Compare the predictions of two models, tables of the same ids, labels and in any order.

    The interval is Agresti and Min's (2005): half a picture is added to each of the four cells.

    Raises DataError when the tables are not about the same pictures.

    >>> one = Table.of(id=["a", "b"], label=[0, 0], prediction=[0, 0], confidence=[0.9, 0.9])
    >>> two = Table.of(id=["a", "b"], label=[0, 0], prediction=[0, 1], confidence=[0.9, 0.5])
    >>> compare(one, two).only_first, compare(one, two).disagreements.ids
    (1, ['b'])
    """
    other = second.like(first)
    label = first["label"]
    if not len(first) or not np.array_equal(label, other["label"]) or int(label.min()) < 0:
        raise DataError("tables with different or missing labels", expected="two models on the same labeled pictures")
    right, also = label == first["prediction"], label == other["prediction"]
    only_first, only_second = int((right & ~also).sum()), int((also & ~right).sum())
    differing = first["prediction"] != other["prediction"]
    added = {f"{name}_second": other[name] for name in ("prediction", "confidence")}
    both = first.select("label", "prediction", "confidence").with_columns(added).where(differing)
    return Comparison(
        len(first),
        float(right.mean()),
        float(also.mean()),
        only_first,
        only_second,
        (only_second - only_first) / len(first),
        paired_interval(only_second, only_first, len(first)),
        mcnemar(only_first, only_second),
        both,
    )
