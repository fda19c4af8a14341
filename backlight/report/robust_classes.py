"""What an attack does to the classes: which withstand, and which are turned into which."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backlight.attack.robustness import Robustness
from backlight.classifier.predictions import class_name
from backlight.page.sections import Facts
from backlight.table.statistics import wilson

MOST_FLOWS = 20


@dataclass(frozen=True)
class AttackedClass:
    """One class: its pictures, the shares right before and under attack, and what it is turned into most.

    >>> AttackedClass("cat", 10, 0.9, 0.2, (0.06, 0.51), "dog", 6).robust
    0.2
    """

    label: str
    n: int
    clean: float
    robust: float
    interval: tuple[float, float]
    into: str
    times: int


def classes_under_attack(found: Robustness) -> list[AttackedClass]:
    """List the classes that occur, least robust first.

    >>> from backlight.attack.request import RobustnessRequest
    >>> from backlight.table import Table
    >>> columns = {"label": [0, 0], "prediction": [0, 0], "attacked_prediction": [0, 1], "robust": [True, False]}
    >>> found = Robustness(Table.of({"id": ["a", "b"], **columns}), RobustnessRequest("pgd"), ("cat", "dog"), 2)
    >>> [(row.label, row.robust, row.into) for row in classes_under_attack(found)]
    [('cat', 0.5, 'dog')]
    """
    table, rows = found.table, []
    labels, flows = table["label"], found.flows
    for label in np.unique(labels).tolist():
        own = labels == label
        count, robust = int(own.sum()), int(table["robust"][own].sum())
        away = flows[label].copy()
        away[label] = 0
        most = int(away.argmax())
        clean = float((table["prediction"][own] == label).mean())
        into, times = (label_of(found, most), int(away[most])) if away[most] else ("", 0)
        rows.append(
            AttackedClass(label_of(found, label), count, clean, robust / count, wilson(robust, count), into, times)
        )
    return sorted(rows, key=lambda row: (row.robust, row.clean, -row.n))


def matrix(found: Robustness) -> Facts:
    """Return the labels and, for each class that occurs, counts and shares of what its pictures are taken for.

    >>> from backlight.attack.request import RobustnessRequest
    >>> from backlight.table import Table
    >>> columns = {"label": [0, 0], "prediction": [0, 0], "attacked_prediction": [0, 1], "robust": [True, False]}
    >>> found = Robustness(Table.of({"id": ["a", "b"], **columns}), RobustnessRequest("pgd"), ("cat", "dog"), 2)
    >>> matrix(found)["rows"]
    [('cat', [(1, 0.5), (1, 0.5)])]
    """
    counts = found.flows
    labels = [label_of(found, label) for label in range(len(counts))]
    totals = counts.sum(1, keepdims=True).clip(min=1)
    rows = [
        (labels[row], [(int(count), float(share)) for count, share in zip(counts[row], (counts / totals)[row])])
        for row in range(len(counts))
        if counts[row].any()
    ]
    return {"labels": labels, "rows": rows}


def flows(found: Robustness) -> list[tuple[str, str, int, float]]:
    """List the most frequent turns, from one class to another: how often, and of which share of the class.

    >>> from backlight.attack.request import RobustnessRequest
    >>> from backlight.table import Table
    >>> columns = {"label": [0, 0], "prediction": [0, 0], "attacked_prediction": [0, 1], "robust": [True, False]}
    >>> found = Robustness(Table.of({"id": ["a", "b"], **columns}), RobustnessRequest("pgd"), ("cat", "dog"), 2)
    >>> flows(found)
    [('cat', 'dog', 1, 0.5)]
    """
    counts = found.flows.copy()
    totals = counts.sum(1)
    np.fill_diagonal(counts, 0)
    order = np.argsort(-counts, axis=None, kind="stable")[:MOST_FLOWS]
    pairs = [divmod(int(place), len(counts)) for place in order]
    return [
        (label_of(found, a), label_of(found, b), int(counts[a, b]), float(counts[a, b] / totals[a]))
        for a, b in pairs
        if counts[a, b]
    ]


def label_of(found: Robustness, label: int) -> str:
    """Name a class, by its number where it has no name.

    >>> from backlight.attack.request import RobustnessRequest
    >>> from backlight.table import Table
    >>> label_of(Robustness(Table.of(id=["a"]), RobustnessRequest("pgd"), ("cat",), 1), 0)
    'cat'
    """
    return class_name(found.labels, label)
