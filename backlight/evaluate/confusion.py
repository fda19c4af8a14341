"""Which classes are taken for which: counts of the pairs that occur, since most pairs of many classes never do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

DENSE = 1000
"""Up to so many classes the matrix is written out in JSON, beyond only the pairs that occur."""


@dataclass(frozen=True, eq=False)
class Confusion:
    """Count pictures by true and predicted class: P pairs, by true class and then by predicted one.

    `true`, `predicted` and `counts` are int64 `[P]`; memory is that of the pairs that occur. Pictures without a
    prediction (-1) count among the pictures of their class, and as no mistake for another one.

    >>> found = Confusion.of([0, 0, 1], [0, 1, 1], classes=3)
    >>> found[0, 1], found[1, 0], found.right.tolist(), found.totals.tolist(), found.named.tolist()
    (1, 0, [1, 1, 0], [2, 1, 0], [1, 2, 0])
    """

    classes: int
    true: np.ndarray
    predicted: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, true: Sequence[int] | np.ndarray, predicted: Sequence[int] | np.ndarray, classes: int) -> Confusion:
        """Count pictures by their true and their predicted class, both `[N]`."""
        flat = np.asarray(true, np.int64) * (classes + 1) + np.asarray(predicted) + 1
        pairs, counts = np.unique(flat, return_counts=True)
        return cls(classes, pairs // (classes + 1), pairs % (classes + 1) - 1, counts.astype(np.int64))

    def __getitem__(self, pair: tuple[int, int]) -> int:
        """Return how often the first class is taken for the second."""
        return int(self.counts[(self.true == pair[0]) & (self.predicted == pair[1])].sum())

    @cached_property
    def right(self) -> np.ndarray:
        """Count the pictures of each class that are predicted right, `[classes]`."""
        return self._sum(self.true, self.true == self.predicted)

    @cached_property
    def totals(self) -> np.ndarray:
        """Count the pictures of each class, `[classes]`."""
        return self._sum(self.true)

    @cached_property
    def named(self) -> np.ndarray:
        """Count the pictures for which each class is predicted, `[classes]`."""
        return self._sum(self.predicted, self.predicted >= 0)

    @cached_property
    def wrong(self) -> list[tuple[int, int, int]]:
        """List the mistakes as (true, predicted, count), most frequent first, equal counts in the order of classes."""
        off = self._mistaken
        rows = zip(self.true[off].tolist(), self.predicted[off].tolist(), self.counts[off].tolist())
        return sorted(rows, key=lambda row: -row[2])

    def both_ways(self, index: int) -> np.ndarray:
        """Count how often a class is taken for each other one, or each other one for it, `[classes]`."""
        off = self._mistaken
        rows, columns = off & (self.true == index), off & (self.predicted == index)
        return self._sum(self.predicted, rows) + self._sum(self.true, columns)

    def dense(self) -> np.ndarray:
        """Write the whole matrix out, int64 `[classes,classes]`: rows true, columns predicted."""
        whole = np.zeros((self.classes, self.classes), np.int64)
        known = self.predicted >= 0
        whole[self.true[known], self.predicted[known]] = self.counts[known]
        return whole

    def to_json(self) -> list[list[int]] | dict[str, Any]:
        """Return the matrix, or of more than 1,000 classes `{"classes", "pairs": [[true, predicted, count]]}`."""
        if self.classes <= DENSE:
            return self.dense().tolist()
        pairs = zip(self.true.tolist(), self.predicted.tolist(), self.counts.tolist())
        return {"classes": self.classes, "pairs": [list(pair) for pair in pairs if pair[1] >= 0]}

    @property
    def _mistaken(self) -> np.ndarray:
        return (self.true != self.predicted) & (self.predicted >= 0)

    def _sum(self, by: np.ndarray, where: np.ndarray | slice = slice(None)) -> np.ndarray:
        return np.bincount(by[where], weights=self.counts[where], minlength=self.classes).astype(np.int64)
