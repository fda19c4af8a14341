"""The section that sets two models side by side on the same pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from backlight.classifier.predictions import class_name
from backlight.data.dataset import Dataset
from backlight.evaluate.compare import Comparison, joint_labels
from backlight.evaluate.evaluating import Evaluation
from backlight.page.sections import Section, percent
from backlight.report.fill import fill
from backlight.report.gallery import Captioned, Thumbnail, read_thumbnails
from backlight.table import Table

_PER_KIND = 12


@dataclass(frozen=True)
class _Kind:
    """Pictures on which the models disagree in one way: in words, how many, and some of them."""

    words: str
    count: int
    shown: tuple[Captioned, ...]


def comparison_section(
    first: Evaluation, second: Evaluation, comparison: Comparison, data: Dataset, names: tuple[str, str]
) -> Section:
    """Write who is better, by how much, whether that may be chance, and where the two disagree.

    >>> import torch
    >>> from backlight.evaluate.compare import compare
    >>> data = Dataset.of(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), [0, 1], ["cat", "dog"])
    >>> columns = {"label": [0, 1], "confidence": [0.9, 0.8]}
    >>> tables = [Table.of(id=["0", "1"], prediction=taken, **columns) for taken in ([0, 0], [0, 1])]
    >>> one, two = (Evaluation(table, data.label_names) for table in tables)
    >>> "Only &lt;b&gt; is right" in comparison_section(one, two, compare(*tables), data, ("a", "<b>")).html
    True
    """
    apart = comparison.disagreements
    right = apart["label"] == apart["prediction"]
    also = apart["label"] == apart["prediction_second"]
    groups = [
        (f"Only {names[0]} is right", apart.where(right).sort("confidence_second", descending=True)),
        (f"Only {names[1]} is right", apart.where(also).sort("confidence", descending=True)),
        ("Both are wrong, each in its own way", apart.where(~right & ~also).sort("confidence", descending=True)),
    ]
    heads = [group.head(_PER_KIND) for _, group in groups]
    thumbnails = read_thumbnails(data, [name for head in heads for name in head.ids], anchor="compared")
    labels = joint_labels(first, second)
    kinds = [
        _Kind(words, len(group), tuple(_shown(head, labels, thumbnails))) for (words, group), head in zip(groups, heads)
    ]
    rows = _classes(first, second)
    facts = {
        "found": comparison,
        "names": names,
        "intervals": (first.accuracy_interval, second.accuracy_interval),
        "verdict": verdict(comparison, names),
        "kinds": kinds,
        "stored": list(thumbnails.values()),
        "classes": rows,
    }
    return Section("comparison", "The two models compared", fill("comparison.html", facts))


def verdict(found: Comparison, names: tuple[str, str]) -> str:
    """Describe in words what a comparison means, chance at the usual 5%.

    >>> verdict(Comparison(10, 0.5, 0.5, 0, 0, 0.0, (-0.2, 0.2), 1.0, Table.of(id=["a"])), ("one", "two"))
    'Both are right and wrong on the very same pictures.'
    """
    if not found.only_first + found.only_second:
        return "Both are right and wrong on the very same pictures."
    better = names[found.difference > 0]
    low, high = found.interval
    if found.p < 0.05 and (low > 0 or high < 0):
        return f"{better} is better, and it is not likely that this is chance."
    if not found.difference:
        return "Neither is better on these pictures."
    return f"{better} is ahead on these pictures, but this may well be chance: more pictures would tell."


def _shown(rows: Table, labels: Sequence[str], thumbnails: Mapping[str, Thumbnail]) -> Iterator[Captioned]:
    for row in rows.rows():
        if row["id"] in thumbnails:
            answers = ((row["prediction"], row["confidence"]), (row["prediction_second"], row["confidence_second"]))
            said = (
                f"{name}: {class_name(labels, taken)} ({percent(float(sure))})"
                for name, (taken, sure) in zip(("first", "second"), answers)
            )
            words = f"really {labels[row['label']]}; {', '.join(said)}"
            yield Captioned(row["id"], words, thumbnails[row["id"]])


def _classes(first: Evaluation, second: Evaluation) -> list[tuple[str, int, float, float]]:
    """List class, pictures and both accuracies, the largest differences first."""
    others = second.per_class
    pairs = [(name, one, others[name]) for name, one in first.per_class.items() if name in others]
    rows = [
        (name, one.n, one.accuracy, other.accuracy)
        for name, one, other in pairs
        if one.accuracy is not None and other.accuracy is not None
    ]
    return sorted(rows, key=lambda row: (-abs(row[3] - row[2]), row[0]))
