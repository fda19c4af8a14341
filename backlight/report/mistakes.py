"""Which classes are taken for which: a heat map whose cells open their pictures, and the worst class both ways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from backlight.evaluate.evaluating import Evaluation
from backlight.evaluate.metrics import Confused, is_suspected, suspected_label_errors, top_losses
from backlight.page.sections import Facts
from backlight.report.gallery import Captioned, Thumbnail, shown_rows
from backlight.table import Table
from backlight.table.statistics import wilson

_CLASSES, _PER_CELL, _PER_WAY, _LOSSES = 20, 8, 10, 20


@dataclass(frozen=True)
class Cell:
    """One cell of the confusion matrix: how many pictures, their share of the true class, and some of them.

    >>> Cell("cell-0-1", "cat", "dog", 3, 0.3, ()).left
    3
    """

    anchor: str
    true: str
    predicted: str
    count: int
    share: float
    shown: tuple[Captioned, ...]

    @property
    def left(self) -> int:
        """Count the pictures that are not shown."""
        return self.count - len(self.shown)

    @property
    def right(self) -> bool:
        """Whether the prediction is the truth."""
        return self.true == self.predicted


@dataclass(frozen=True)
class Mistakes:
    """The pictures of an evaluation by what they are and what they were taken for, most confident mistakes first.

    >>> columns = {"label": [0, 0], "prediction": [0, 1], "confidence": [0.9, 0.8], "logits": [[2.0, 0.0]] * 2}
    >>> found = Mistakes(Evaluation(Table.of(id=["a", "b"], loss=[0.1, 2.0], **columns), ("cat", "dog")))
    >>> found.classes, found.cell(0, 1, most=2).ids, found.worst
    ([0, 1], ['b'], (0, 1))
    """

    evaluation: Evaluation

    @property
    def classes(self) -> list[int]:
        """Return the classes of the matrix in order: those that occur, or of many the ones with most mistakes."""
        counts = self.evaluation.confusion
        involved = counts.totals + counts.named - 2 * counts.right
        occurring = np.flatnonzero(counts.totals + counts.named)
        most = sorted(occurring.tolist(), key=lambda index: (-int(involved[index]), index))[:_CLASSES]
        return sorted(most)

    @property
    def worst(self) -> tuple[int, int] | None:
        """Return the least accurate class and the one that it is most confused with, both ways counted, if any."""
        counts = self.evaluation.confusion
        if not counts.wrong:
            return None
        shares = np.where(counts.totals > 0, counts.right / np.maximum(counts.totals, 1), 2.0)
        first = int(shares.argmin())
        return first, int(counts.both_ways(first).argmax())

    @property
    def apart(self) -> bool:
        """Whether the least accurate class is less accurate than all others together by more than chance."""
        if self.worst is None:
            return False
        counts, first = self.evaluation.confusion, self.worst[0]
        right, total = int(counts.right[first]), int(counts.totals[first])
        others = int(counts.totals.sum()) - total
        if not others:
            return False
        # Among many classes one is always lowest: the interval is as wide as their number asks for.
        classes = int((counts.totals > 0).sum())
        return wilson(right, total, 1 - 0.05 / classes)[1] < wilson(int(counts.right.sum()) - right, others)[0]

    def cell(self, true: int, predicted: int, most: int) -> Table:
        """Return some pictures of one cell: mistakes the most confident first, right ones the least confident first."""
        table = self.evaluation.table
        inside = (table["label"] == true) & (table["prediction"] == predicted)
        return table.first("confidence", most, inside, descending=true != predicted)

    def wanted(self) -> list[str]:
        """List the ids that the page would like to show, the most telling first."""
        ids: list[str] = []
        if self.worst is not None:
            first, second = self.worst
            ids += self.cell(first, second, _PER_WAY).ids + self.cell(second, first, _PER_WAY).ids
        ids += top_losses(self.evaluation.table, _LOSSES).ids
        ids += suspected_label_errors(self.evaluation.table, top=_LOSSES).ids
        counts = self.evaluation.confusion
        pairs = [(true, other) for true in self.classes for other in self.classes if counts[true, other]]
        pairs.sort(key=lambda pair: (pair[0] == pair[1], -counts[pair]))
        cells = [self.cell(*pair, _PER_CELL).ids for pair in pairs]
        # The first of every cell before the second of any: where room ends, most cells still open.
        return ids + [cell[place] for place in range(_PER_CELL) for cell in cells if place < len(cell)]

    def shown_cell(self, true: int, predicted: int, thumbnails: Mapping[str, Thumbnail], most: int) -> Cell:
        """Make a cell with at most so many pictures."""
        found, labels = self.evaluation, self.evaluation.labels
        count, total = found.confusion[true, predicted], int(found.confusion.totals[true])
        shown = shown_rows(self.cell(true, predicted, most), labels, thumbnails, told=False)
        anchor = f"cell-{true}-{predicted}"
        return Cell(anchor, labels[true], labels[predicted], count, count / total if total else 0.0, shown)


def mistakes_facts(mistakes: Mistakes, thumbnails: Mapping[str, Thumbnail]) -> Facts:
    """Return what the section of the confusion matrix shows."""
    found, classes = mistakes.evaluation, mistakes.classes
    rows = [
        (found.labels[true], [mistakes.shown_cell(true, other, thumbnails, _PER_CELL) for other in classes])
        for true in classes
    ]
    wrong = [cell.share for _, cells in rows for cell in cells if not cell.right]
    return {
        "largest": max(wrong, default=0.0) or 1.0,
        "labels": [found.labels[index] for index in classes],
        "rows": rows,
        "classes": int((found.confusion.totals + found.confusion.named > 0).sum()),
        "pairs": [_pair(found, pair) for pair in found.most_confused],
        "worst": _worst(mistakes, thumbnails),
    }


def losses_facts(found: Evaluation, thumbnails: Mapping[str, Thumbnail]) -> Facts:
    """Return what the section of single pictures shows: the highest losses, and labels that may be wrong."""
    suspects = suspected_label_errors(found.table, top=_LOSSES)
    return {
        "losses": shown_rows(top_losses(found.table, _LOSSES), found.labels, thumbnails),
        "suspects": shown_rows(suspects, found.labels, thumbnails),
        "suspected": int(is_suspected(found.table).sum()),
    }


def _worst(mistakes: Mistakes, thumbnails: Mapping[str, Thumbnail]) -> Facts | None:
    if mistakes.worst is None:
        return None
    first, second = mistakes.worst
    found = mistakes.evaluation
    ways = [mistakes.shown_cell(*pair, thumbnails, _PER_WAY) for pair in ((first, second), (second, first))]
    score = found.per_class[found.labels[first]]
    return {
        "label": found.labels[first],
        "partner": found.labels[second],
        "accuracy": score.accuracy,
        "interval": wilson(int(found.confusion.right[first]), score.n),
        "apart": mistakes.apart,
        "ways": ways,
    }


def _pair(found: Evaluation, pair: Confused) -> tuple[Confused, str]:
    places = {name: index for index, name in enumerate(found.labels)}
    return pair, f"cell-{places[pair.true]}-{places[pair.predicted]}"
