"""Numbers that follow from a table of samples; every one a plain function of labels, predictions and logits."""

from __future__ import annotations

import numpy as np

from backlight.errors import DataError
from backlight.table import Table


def accuracy(table: Table) -> float:
    """Give the share of labeled pictures that are predicted right.

    >>> accuracy(Table.of(id=["a", "b"], label=[0, 1], prediction=[0, 0]))
    0.5
    """
    return float((_labels(table) == table["prediction"]).mean())


def top_k(table: Table, count: int = 5) -> float:
    """Give the share of pictures whose label is among the `count` highest logits; equal logits by index.

    >>> top_k(Table.of(id=["a"], label=[1], logits=[[3.0, 2.0, 1.0]]), 2)
    1.0
    """
    logits, labels = np.asarray(table["logits"]), _labels(table)
    own = logits[np.arange(len(labels)), labels][:, None]
    earlier = np.arange(logits.shape[1]) < labels[:, None]
    rank = ((logits > own) | ((logits == own) & earlier)).sum(1)
    # A logit that is not a number compares false with everything and would rank first.
    return float(((rank < count) & ~np.isnan(own[:, 0])).mean())


def mean_loss(table: Table) -> float:
    """Give the mean cross-entropy, in nats.

    >>> mean_loss(Table.of(id=["a", "b"], loss=[1.0, 2.0]))
    1.5
    """
    return float(np.mean(table["loss"], dtype=np.float64))


def _labels(table: Table) -> np.ndarray:
    labels = table["label"]
    if not len(labels) or int(labels.min()) < 0:
        raise DataError("pictures without labels", expected="at least one picture, all labeled")
    return labels
