"""The section of an evaluation of pictures with several labels each: how well every label is found."""

from __future__ import annotations

from backlight.evaluate.multilabel import LabelScore, MultilabelScores
from backlight.page.sections import Section, percent
from backlight.report.fill import fill


def multilabel_section(found: MultilabelScores, *, data: str) -> Section:
    """Write the section of an evaluation of labels, the least well found first; `data` says which pictures.

    >>> found = MultilabelScores(1, {"<b>": LabelScore(1, 0.5, 1.0, 1.0, 1.0)}, 1.0, ())
    >>> "&lt;b&gt;" in multilabel_section(found, data="list.csv (all)").html
    True
    """
    rows = sorted(found.labels.items(), key=_by_precision)
    facts = {"found": found, "data": data, "classes": rows}
    return Section("labels", "How well each label is found", fill("multilabel.html", facts))


def multilabel_headline(found: MultilabelScores) -> str:
    """Say how well labels are found on average, empty where none occurs.

    >>> multilabel_headline(MultilabelScores(1, {"sea": LabelScore(1, 0.5, 1.0, 1.0, 1.0)}, 1.0, ()))
    'mean average precision 50%'
    """
    mean = found.mean_average_precision
    return "" if mean is None else f"mean average precision {percent(mean)}"


def _by_precision(row: tuple[str, LabelScore]) -> tuple[bool, float, int]:
    score = row[1]
    return score.average_precision is None, score.average_precision or 0.0, -score.n
