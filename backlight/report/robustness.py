"""The section of a robustness evaluation: what withstands which attack, how sure that is, and what to doubt."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from markupsafe import Markup

from backlight.attack.blocks import SURVIVED, UNDEFINED, WRONG_BEFORE
from backlight.attack.robustness import Robustness
from backlight.attack.trail import SHARES, curves
from backlight.page.charts import bar_chart, histogram, line_chart
from backlight.page.plot import Line
from backlight.page.sections import Section
from backlight.report.fill import fill
from backlight.report.robust_classes import classes_under_attack, flows, matrix
from backlight.report.robust_pictures import pictures_html
from backlight.report.robust_words import goal_words, mode_words, size_text, threat_words

_MATRIX, _IDS_SHOWN = 12, 100
_BEFORE, _AFTER = "before any attack", "withstood all of it"


def robustness_section(
    found: Robustness, *, data: str = "the data", steps: Sequence[int] = (), pictures: bool = True
) -> Section:
    """Write the section of an evaluation; `steps` asks for the accuracy after so many, `data` names what was attacked.

    The most and the least robust pictures of each class are shown where the evaluation kept them, as many as the
    page can carry, least robust classes first.

    >>> from backlight.attack.request import RobustnessRequest
    >>> from backlight.table import Table
    >>> columns = dict.fromkeys(["label", "prediction", "attacked_prediction", "distance", "margin", "steps"], [0])
    >>> counts = dict.fromkeys(["forwards", "backwards", "zero_grads"], [1])
    >>> truths = dict.fromkeys(["clean_top5", "robust_top5", "robust"], [True])
    >>> doubts = dict.fromkeys(["undecided", "png_fools", "jpeg_fools"], [False])
    >>> table = Table.of({"id": ["a"], **columns, **counts, **truths, **doubts, "broken_by": [""]})
    >>> robustness_section(Robustness(table, RobustnessRequest("pgd"), ("cat",), 1)).anchor
    'robustness'
    """
    threat = found.request.threat
    facts = {
        "found": found,
        "data": data,
        "threat": threat_words(threat),
        "goal": goal_words(found.request.chosen.target),
        "mode": mode_words(found),
        "accuracies": _accuracies(found),
        "waterfall": bar_chart(
            [(_BEFORE, _standing(found)), *((f"after {name}", left) for name, left in found.by_attack.items())],
            alt="The share of pictures that still stand before any attack and after each one",
        ),
        "broken": _broken_by(found),
        "curve": _curve(found),
        "by_steps": _by_steps(found, steps),
        "by_queries": _by_queries(found),
        "near_by_queries": _near_by_queries(found),
        "distances": _distances(found),
        "curve_rows": _curve_rows(found),
        "dashed": _raw_differs(found),
        "size": size_text(threat),
        "classes": classes_under_attack(found),
        "matrix": matrix(found) if len(found.labels) <= _MATRIX else None,
        "flows": flows(found),
        "undecided": found.table.where(found.table["undecided"].astype(bool)).ids,
        "forwards": int(found.table["forwards"].sum()),
        "backwards": int(found.table["backwards"].sum()),
        "pictures": pictures_html(found) if pictures else Markup(""),
    }
    return Section("robustness", f"Under attack: {found.name}", fill("robustness.html", facts))


@dataclass(frozen=True)
class _Accuracy:
    name: str
    share: float
    interval: tuple[float, float]
    term: str = ""


def _accuracies(found: Robustness) -> list[_Accuracy]:
    spans = found.intervals
    return [
        _Accuracy("right before any attack", found.clean_accuracy, spans["clean"]),
        _Accuracy("right under attack", found.robust_accuracy, spans["robust"], "robust accuracy"),
        _Accuracy("among the best five before any attack", found.clean_top5, spans["clean_top5"]),
    ]


def _standing(found: Robustness) -> float:
    return float((found.table["broken_by"] != WRONG_BEFORE).mean())


def _broken_by(found: Robustness) -> list[tuple[str, int, float, list[str], int]]:
    """List what broke the pictures first: name, how many, their share, some of their ids, how many more."""
    names = np.asarray(found.table["broken_by"].tolist(), dtype=object)
    ids, rows = found.table.ids, []
    words = {WRONG_BEFORE: "wrong before any attack", UNDEFINED: "no defined prediction close by", SURVIVED: _AFTER}
    lost = (UNDEFINED,) if UNDEFINED in names else ()
    for name in (WRONG_BEFORE, *found.by_attack, *lost, SURVIVED):
        places = np.flatnonzero(names == name)
        some = [ids[place] for place in islice(places, _IDS_SHOWN)]
        share = len(places) / max(len(names), 1)
        rows.append((words.get(name, name), len(places), share, some, len(places) - len(some)))
    return rows


def _curve(found: Robustness) -> Markup:
    if found.curve is None:
        return Markup("")
    curve = found.curve
    lines = [Line(tuple(zip(curve.eps, curve.accuracy)))]
    if _raw_differs(found):
        lines.append(Line(tuple(zip(curve.eps, curve.raw)), dashed=True))
    own = "; dashed: each size by itself" if len(lines) > 1 else ""
    return line_chart(
        lines,
        alt=f"The share of pictures that withstand, for changes of growing size{own}",
        x_label=f"largest change allowed ({curve.norm})",
        x_text=size_text(found.request.threat),
    )


def _raw_differs(found: Robustness) -> bool:
    return found.curve is not None and not np.allclose(found.curve.raw, found.curve.accuracy, atol=1e-9)


def _curve_rows(found: Robustness) -> list[tuple[str, float]]:
    if found.curve is None:
        return []
    text = size_text(found.request.threat)
    return [(text(eps), share) for eps, share in zip(found.curve.eps, found.curve.accuracy)]


def _by_steps(found: Robustness, steps: Sequence[int]) -> Markup:
    if len(steps) < 2:
        return Markup("")
    left = found.over_steps(sorted({0, *steps}))
    points = tuple((float(count), share) for count, share in left.items())
    alt = "The share of pictures that withstand after a growing number of steps"
    return line_chart([Line(points)], alt=alt, x_label="steps of the attack", x_text=lambda count: f"{count:.0f}")


def _by_queries(found: Robustness) -> Markup:
    left = found.over_queries
    if left is None or len(left) < 2:
        return Markup("")
    points = _by_powers(left.items())
    alt = "The share of pictures that withstand after a growing number of queries"
    return line_chart([Line(points)], alt=alt, x_label="queries", x_text=_power)


def _by_powers(points: Iterable[tuple[int, float]]) -> tuple[tuple[float, float], ...]:
    # From a few queries to thousands: each tick is ten times the one before.
    return tuple((math.log10(max(count, 1)), value) for count, value in points)


def _power(power: float) -> str:
    return f"{10**power:,.0f}"


def _near_by_queries(found: Robustness) -> Markup:
    known = found.distance_over_queries or {}
    lines = [Line(_by_powers(curves(known, name)), name) for name in reversed(SHARES)]
    if max(len(line.points) for line in lines) < 2:
        return Markup("")
    return line_chart(
        [line for line in lines if line.points],
        alt="The smallest changes known to fool after a growing number of queries: 10%, median and 90%",
        x_label="queries",
        x_text=_power,
        y_text=size_text(found.request.threat),
        high=None,
    )


@dataclass(frozen=True)
class _Distances:
    """Sizes of changes as a histogram: of the smallest known ones, or only of those that this attack made."""

    smallest: bool
    median: float | None
    never: int
    count: int
    chart: Markup


def _distances(found: Robustness) -> _Distances | None:
    right = found.table["broken_by"].astype(str) != WRONG_BEFORE
    known = found.smallest
    if known is None:
        broken = right & (found.table["broken_by"].astype(str) != SURVIVED)
        sizes = found.table["distance"][broken].astype(np.float64)
        median = found.median_distance
    else:
        sizes = np.array([known[name] for name, counts in zip(found.table.ids, right) if counts and name in known])
        median = found.median_smallest
    reached = sizes[np.isfinite(sizes)]
    if not len(reached):
        return None
    threat = found.request.threat
    chart = histogram(
        reached,
        alt="How many pictures were fooled by changes of which size",
        x_label=f"size of the change ({threat.norm})",
        x_text=size_text(threat),
        unit=1 / 255 if threat.norm == "linf" else 1.0,
    )
    return _Distances(known is not None, median, len(sizes) - len(reached), len(reached), chart)
