"""Numbers that follow from a table of samples; every one a plain function of labels, predictions and logits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backlight.core.errors import DataError
from backlight.evaluate.confusion import Confusion
from backlight.table import Table

_LAST = np.iinfo(np.int64).max


def accuracy(table: Table) -> float:
    """Return the share of labeled pictures that are predicted right.

    >>> accuracy(Table.of(id=["a", "b"], label=[0, 1], prediction=[0, 0]))
    0.5
    """
    return float((_labels(table) == table["prediction"]).mean())


def top_k(table: Table, count: int = 5) -> float:
    """Return the share of pictures whose label is among the `count` highest logits; equal logits by index.

    >>> top_k(Table.of(id=["a"], label=[1], logits=[[3.0, 2.0, 1.0]]), 2)
    1.0
    """
    ranks = table["rank"] if "rank" in table else rank_of(np.asarray(table["logits"]), _labels(table))
    return float((ranks < count).mean())


def rank_of(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Count how many classes have a higher logit `[N,classes]` than the label `[N]`, equal ones by index: int64 `[N]`.

    Where no prediction is well defined the label comes after any number of classes.

    >>> rank_of(np.array([[3.0, 2.0, 2.0]]), np.array([2])).tolist()
    [2]
    """
    own = logits[np.arange(len(labels)), labels][:, None]
    earlier = np.arange(logits.shape[1]) < labels[:, None]
    rank = ((logits > own) | ((logits == own) & earlier)).sum(1)
    # A logit that is not a number compares false with everything and would rank first.
    return np.where(np.isfinite(logits.max(1)), rank, _LAST)


def mean_loss(table: Table) -> float:
    """Return the mean cross-entropy, in nats, of the pictures whose own is finite; NaN where none is.

    >>> mean_loss(Table.of(id=["a", "b"], loss=[1.0, 2.0]))
    1.5
    """
    finite = table["loss"][np.isfinite(table["loss"])]
    return float(np.mean(finite, dtype=np.float64)) if len(finite) else float("nan")


def confusion(table: Table, classes: int) -> Confusion:
    """Count pictures by true and predicted class.

    >>> confusion(Table.of(id=["a", "b"], label=[0, 1], prediction=[0, 0]), 2).dense().tolist()
    [[1, 0], [1, 0]]
    """
    return Confusion.of(_labels(table), table["prediction"], classes)


@dataclass(frozen=True)
class ClassScore:
    """How well one class is found; None where nothing was counted.

    `accuracy` is the share of the class's pictures that are predicted right, which is its `recall` too;
    `precision` the share of its predictions that are right; `f1` their harmonic mean, 0 for a class that occurs or is
    predicted but never rightly.

    >>> ClassScore(10, 0.9, 0.9, 0.75).f1 > 0.81
    True
    """

    n: int
    accuracy: float | None
    recall: float | None
    precision: float | None

    @property
    def f1(self) -> float | None:
        """Return the harmonic mean of precision and recall: 2 TP / (2 TP + FP + FN)."""
        if self.recall is None and self.precision is None:
            return None
        recall, precision = self.recall or 0.0, self.precision or 0.0
        both = recall + precision
        return 2 * recall * precision / both if both else 0.0

    def to_json(self) -> dict[str, float | None]:
        """Return `{"n","accuracy","precision","recall","f1"}`."""
        return {
            "n": self.n,
            "accuracy": self.accuracy,
            "precision": self.precision,
            "recall": self.recall,
            "f1": self.f1,
        }


def per_class(counts: Confusion) -> tuple[ClassScore, ...]:
    """Score every class.

    >>> scores = per_class(Confusion.of([0, 0, 0, 0], [0, 0, 0, 1], classes=2))
    >>> scores[0].recall, scores[1].recall
    (0.75, None)
    """
    scores = []
    for right, true, predicted in zip(counts.right.tolist(), counts.totals.tolist(), counts.named.tolist()):
        recall = right / true if true else None
        scores.append(ClassScore(true, recall, recall, right / predicted if predicted else None))
    return tuple(scores)


def balanced_accuracy(counts: Confusion) -> float:
    """Return the mean recall of the classes that occur.

    >>> balanced_accuracy(Confusion.of([0, 0, 0, 0, 1], [0, 0, 0, 1, 1], classes=2))
    0.875
    """
    return float(np.mean([score.recall for score in per_class(counts) if score.recall is not None]))


def macro_f1(counts: Confusion) -> float:
    """Return the mean F1 of the classes that occur or are predicted.

    >>> macro_f1(Confusion.of([0, 0, 1, 1], [0, 0, 0, 0], classes=3)) == (2 / 3 + 0) / 2
    True
    """
    return float(np.mean([score.f1 for score in per_class(counts) if score.f1 is not None]))


@dataclass(frozen=True)
class Confused:
    """A class that is taken for another: how often, and as a share of the true class's pictures.

    >>> Confused("cat", "dog", 3, 0.3).fraction
    0.3
    """

    true: str
    predicted: str
    count: int
    fraction: float


def most_confused(counts: Confusion, labels: Sequence[str], top: int = 10) -> list[Confused]:
    """List the pairs that are confused most often; equal counts in the order of labels.

    >>> most_confused(Confusion.of([0, 1, 1], [1, 0, 0], classes=2), ["cat", "dog"])[0]
    Confused(true='dog', predicted='cat', count=2, fraction=1.0)
    """
    totals = counts.totals
    return [Confused(labels[i], labels[j], n, n / int(totals[i])) for i, j, n in counts.wrong[:top]]


def top_losses(table: Table, top: int = 20) -> Table:
    """Return the rows of highest loss, highest first.

    >>> top_losses(Table.of(id=["a", "b"], loss=[1.0, 2.0]), 1).ids
    ['b']
    """
    return table.first("loss", top, ~np.isnan(table["loss"]), descending=True)


def is_suspected(table: Table, confidence: float = 0.9) -> np.ndarray:
    """Whether the model contradicts the label with at least this confidence, bool `[N]`.

    >>> is_suspected(Table.of(id=["a", "b"], label=[0, 1], prediction=[1, 1], confidence=[0.95, 0.99])).tolist()
    [True, False]
    """
    return (_labels(table) != table["prediction"]) & (table["confidence"] >= confidence)


def suspected_label_errors(table: Table, confidence: float = 0.9, top: int | None = None) -> Table:
    """Return the rows where the model contradicts the label with at least this confidence, highest loss first.

    With `top` only so many of them.

    >>> data = {"label": [0, 1], "prediction": [1, 1], "confidence": [0.95, 0.99], "loss": [3.0, 0.01]}
    >>> suspected_label_errors(Table.of(id=["a", "b"], **data)).ids
    ['a']
    """
    return table.first("loss", len(table) if top is None else top, is_suspected(table, confidence), descending=True)


def _labels(table: Table) -> np.ndarray:
    labels = table["label"]
    if not len(labels) or int(labels.min()) < 0:
        raise DataError("pictures without labels", expected="at least one picture, all labeled")
    return labels
