"""Sections that are functions of a table of samples, and the list of all of them."""

from __future__ import annotations

from dataclasses import dataclass

from backlight.core.plugins import Registry
from backlight.evaluate.metrics import accuracy, balanced_accuracy, confusion, per_class, top_k
from backlight.page.sections import Facts, Section, TableSection
from backlight.report.calibration import calibration_facts
from backlight.table import Table
from backlight.table.statistics import wilson

_LISTED = 1_000  # a row takes 300 bytes: ten thousand of them would be most of a page


@dataclass(frozen=True)
class ClassRow:
    """One class: how many pictures, the share that is right with its 95% interval, and what it is taken for.

    `precision` is the share of its predictions that are right, None where it is never predicted.

    >>> ClassRow("cat", 10, 0.9, (0.6, 0.98), 0.8, 0.85, "dog", 1).accuracy
    0.9
    """

    label: str
    n: int
    accuracy: float
    interval: tuple[float, float]
    precision: float | None
    f1: float | None
    mistaken_for: str
    mistaken: int


def accuracy_by_class(table: Table, labels: tuple[str, ...]) -> list[ClassRow]:
    """List the classes that occur, least accurate first.

    >>> rows = accuracy_by_class(Table.of(id=["a", "b"], label=[0, 1], prediction=[0, 0]), ("cat", "dog"))
    >>> [(row.label, row.accuracy, row.mistaken_for) for row in rows]
    [('dog', 0.0, 'cat'), ('cat', 1.0, '')]
    """
    counts = confusion(table, len(labels))
    mistaken = {}
    for true, predicted, count in reversed(counts.wrong):  # the most frequent mistake of a class comes last and stays
        mistaken[true] = (labels[predicted], count)
    rows = []
    for index, score in enumerate(per_class(counts)):
        if not score.n:
            continue
        right = int(counts.right[index])
        taken, times = mistaken.get(index, ("", 0))
        interval = wilson(right, score.n)
        rows.append(
            ClassRow(labels[index], score.n, right / score.n, interval, score.precision, score.f1, taken, times)
        )
    return sorted(rows, key=lambda row: (row.accuracy, -row.n))


def _accuracy_facts(table: Table, labels: tuple[str, ...]) -> Facts:
    right = int((table["label"] == table["prediction"]).sum())
    rows = accuracy_by_class(table, labels)
    return {
        "n": len(table),
        "accuracy": accuracy(table),
        "balanced": balanced_accuracy(confusion(table, len(labels))),
        "top5": top_k(table, 5) if {"logits", "rank"} & set(table.names) and len(labels) > 5 else None,
        "interval": wilson(right, len(table)),
        "classes": rows[:_LISTED],
        "unlisted": len(rows[_LISTED:]),
    }


_SECTIONS = (
    TableSection("accuracy", "Accuracy by class", frozenset({"label", "prediction"}), "accuracy.html", _accuracy_facts),
    TableSection(
        "calibration",
        "How sure it is, and how sure it should be",
        frozenset({"label", "prediction", "confidence"}),
        "calibration.html",
        calibration_facts,
    ),
)
TABLE_SECTIONS = Registry("sections", "section", _SECTIONS, TableSection)


def table_sections(table: Table, labels: tuple[str, ...], name: str) -> list[Section]:
    """Write every registered section whose columns the table has; `name` says which data it describes.

    A section of a plug-in that fails is a `PluginWarning`: nobody asked for it, and the page stands without it.
    """
    written = []
    for one in TABLE_SECTIONS.values():
        if not one.needs <= set(table.names):
            continue
        try:
            written.append(one.write(table, labels, name))
        except Exception as error:
            if one.name in TABLE_SECTIONS.built_in:
                raise
            TABLE_SECTIONS.warn(one.name, f"failed: {type(error).__name__}: {error}")
    return written
