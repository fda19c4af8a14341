"""Sections that are functions of a table of samples, and the list of all of them."""

from __future__ import annotations

from dataclasses import dataclass

from backlight.evaluate.metrics import accuracy, confusion, per_class, wilson
from backlight.report.sections import Facts, Section, TableSection, render
from backlight.table import Table

_SHOWN = 20


@dataclass(frozen=True)
class ClassRow:
    """One class: how many pictures, the share that is right with its 95 % interval, and what it is taken for.

    >>> ClassRow("cat", 10, 0.9, (0.6, 0.98), "dog", 1).accuracy
    0.9
    """

    label: str
    n: int
    accuracy: float
    interval: tuple[float, float]
    mistaken_for: str
    mistaken: int


def accuracy_by_class(table: Table, labels: tuple[str, ...]) -> list[ClassRow]:
    """List the classes that occur, least accurate first.

    >>> rows = accuracy_by_class(Table.of(id=["a", "b"], label=[0, 1], prediction=[0, 0]), ("cat", "dog"))
    >>> [(row.label, row.accuracy, row.mistaken_for) for row in rows]
    [('dog', 0.0, 'cat'), ('cat', 1.0, '')]
    """
    counts = confusion(table, len(labels))
    rows = []
    for index, score in enumerate(per_class(counts)):
        if not score.n:
            continue
        right = int(counts[index, index])
        wrong = counts[index].copy()
        wrong[index] = 0
        most = int(wrong.argmax())
        taken, times = (labels[most], int(wrong[most])) if wrong[most] else ("", 0)
        rows.append(ClassRow(labels[index], score.n, right / score.n, wilson(right, score.n), taken, times))
    return sorted(rows, key=lambda row: (row.accuracy, -row.n))


def _accuracy_facts(table: Table, labels: tuple[str, ...]) -> Facts:
    right = int((table["label"] == table["prediction"]).sum())
    rows = accuracy_by_class(table, labels)
    return {
        "n": len(table),
        "accuracy": accuracy(table),
        "interval": wilson(right, len(table)),
        "first": rows[:_SHOWN],
        "more": rows[_SHOWN:],
    }


TABLE_SECTIONS: tuple[TableSection, ...] = (
    TableSection("accuracy", "Accuracy by class", frozenset({"label", "prediction"}), "accuracy.html", _accuracy_facts),
)


def table_sections(table: Table, labels: tuple[str, ...], name: str) -> list[Section]:
    """Write every registered section whose columns the table has; `name` says which data it describes."""
    return [
        Section(one.anchor, one.title, render(one.template, {**one.facts(table, labels), "data": name}))
        for one in TABLE_SECTIONS
        if one.needs <= set(table.names)
    ]
