"""Whether confidence means what it says: as a diagram, as one number, and as what can be left to the classifier."""

from __future__ import annotations

import numpy as np

from backlight.evaluate.calibration import Reliability, coverage_curve, reliability
from backlight.page.charts import Line, line_chart
from backlight.page.sections import Facts, percent
from backlight.table import Table

_TENTHS = tuple(tenth / 10 for tenth in range(0, 11, 2))
_SHARES = tuple(twentieth / 20 for twentieth in range(1, 21))
_CLOSE = 0.02


def calibration_facts(table: Table, labels: tuple[str, ...]) -> Facts:
    """Return what the section of calibration shows."""
    found = reliability(table)
    filled = np.flatnonzero(found.counts)
    points = tuple((float(found.confidence[one]), float(found.accuracy[one])) for one in filled)
    diagram = line_chart(
        [Line(((0.0, 0.0), (1.0, 1.0)), dashed=True, color=1), Line(points, color=0)],
        alt="Share that is right over confidence; dashed: where both are equal",
        x_label="how sure it is",
        x_text=percent,
        marks=_TENTHS,
    )
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
    rows = [
        (one / bins, (one + 1) / bins, int(found.counts[one]), float(found.confidence[one]), float(found.accuracy[one]))
        for one in filled.tolist()
    ]
    sure, right = float(np.mean(table["confidence"])), float(np.mean(table["label"] == table["prediction"]))
    return {
        "ece": found.ece,
        "sure": sure,
        "right": right,
        "verdict": verdict(found, sure - right),
        "diagram": diagram,
        "coverage": coverage,
        "rows": rows,
    }


def verdict(found: Reliability, gap: float) -> str:
    """Describe in words whether it is too sure or not sure enough; `gap` is mean confidence minus accuracy.

    >>> verdict(Reliability(np.array([2]), np.array([0.9]), np.array([0.5])), 0.4)
    'It is too sure of itself: what it says with certainty is wrong more often than it sounds.'
    """
    if found.ece < _CLOSE:
        return "What it says about its certainty can be taken at its word."
    if gap > _CLOSE:
        return "It is too sure of itself: what it says with certainty is wrong more often than it sounds."
    if gap < -_CLOSE:
        return "It is more often right than it dares to say."
    return "It is too sure in some places and not sure enough in others, which cancel out on average."
