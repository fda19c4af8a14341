"""Whether confidence means what it says: as a diagram, as one number, and as what can be left to the classifier."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from backlight.evaluate.calibration import Reliability, coverage_curve, reliability
from backlight.page.charts import line_chart
from backlight.page.plot import Line
from backlight.page.sections import Facts, percent
from backlight.table import Table
from backlight.table.statistics import wilson

_TENTHS = tuple(tenth / 10 for tenth in range(0, 11, 2))
_SHARES = tuple(twentieth / 20 for twentieth in range(1, 21))
_CHANCE = 0.05


def calibration_facts(table: Table, labels: tuple[str, ...]) -> Facts:
    """Return what the section of calibration shows, of the pictures that have a prediction."""
    known = table["prediction"] >= 0
    if not known.any():
        return {"ece": None}
    table = table.select("label", "prediction", "confidence").where(known)
    found = reliability(table)
    shares, accuracies = coverage_curve(table)
    places = [int((shares < wanted - 1e-9).sum()) for wanted in _SHARES]
    covered = tuple(dict((float(shares[one]), float(accuracies[one])) for one in places).items())
    coverage = line_chart(
        [Line(covered)],
        alt="Share that is right among the pictures of which it is most sure",
        x_label="share of the pictures that it is left to answer",
        x_text=percent,
        marks=_TENTHS,
    )
    bins = len(found.counts)
    filled = np.flatnonzero(found.counts)
    rows = [
        (one / bins, (one + 1) / bins, int(found.counts[one]), float(found.confidence[one]), float(found.accuracy[one]))
        for one in filled.tolist()
    ]
    sure, right = float(np.mean(table["confidence"])), float(np.mean(table["label"] == table["prediction"]))
    return {
        "ece": found.ece,
        "sure": sure,
        "right": right,
        "interval": wilson(int((table["label"] == table["prediction"]).sum()), len(table)),
        "verdict": verdict(found),
        "diagram": reliability_diagram(found),
        "coverage": coverage,
        "rows": rows,
    }


def reliability_diagram(found: Reliability) -> Markup:
    """Draw accuracy over confidence, bin by bin, with the number of pictures and the interval of each.

    >>> "data-title" in reliability_diagram(Reliability(np.array([20]), np.array([0.9]), np.array([0.5])))
    True
    """
    filled = np.flatnonzero(found.counts)
    points = tuple((float(found.confidence[one]), float(found.accuracy[one])) for one in filled)
    counts = [int(found.counts[one]) for one in filled]
    bounds = tuple(wilson(round(count * share), count) for count, (_, share) in zip(counts, points))
    dots = Line(points, color=0, bars=bounds, notes=tuple(f"{count:,}" for count in counts))
    return line_chart(
        [Line(((0.0, 0.0), (1.0, 1.0)), dashed=True, color=1), dots],
        alt="Share that is right over confidence, with counts and 95% intervals; dashed: where both are equal",
        x_label="how sure it is",
        x_text=percent,
        marks=_TENTHS,
    )


def verdict(found: Reliability) -> str:
    """Describe in words whether it is too sure or not sure enough, where that is more than chance at the usual 5%.

    >>> verdict(Reliability(np.array([20]), np.array([0.9]), np.array([0.5])))
    'It is too sure of itself: what it says with certainty is wrong more often than it sounds.'
    >>> verdict(Reliability(np.array([2]), np.array([0.9]), np.array([0.5])))
    'As far as 2 pictures can tell, what it says about its certainty can be taken at its word.'
    """
    filled = np.flatnonzero(found.counts)
    counts, confidence = found.counts[filled], found.confidence[filled]
    right = np.rint(counts * found.accuracy[filled]).astype(int)
    total, sure = int(counts.sum()), float((counts * confidence).sum() / counts.sum())
    low, high = wilson(int(right.sum()), total)
    if sure > high:
        return "It is too sure of itself: what it says with certainty is wrong more often than it sounds."
    if sure < low:
        return "It is more often right than it dares to say."
    # Many groups are looked at: each may miss its interval by chance, so that of each is wider.
    each = 1 - _CHANCE / len(filled)
    spans = [wilson(int(good), int(count), each) for good, count in zip(right, counts)]
    above = any(one > span[1] for one, span in zip(confidence, spans))
    below = any(one < span[0] for one, span in zip(confidence, spans))
    if above or below:
        places = "too sure in some places" if above else "not sure enough in some places"
        places += " and not sure enough in others" if above and below else ""
        return f"On average it is as sure as it is right, but {places}."
    return f"As far as {total:,} pictures can tell, what it says about its certainty can be taken at its word."
