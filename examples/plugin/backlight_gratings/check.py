"""A check of the audit: how often the classifier is wrong where it is sure."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backlight.audit import CheckCard, Examined, Finding, Shown, judge
from backlight.table.statistics import wilson

_SURE = 0.9


def sure_mistakes(examined: Examined) -> Iterator[Finding]:
    """Find the share of sure answers (confidence above 0.9) that are wrong."""
    kept = examined.kept
    sure = kept.confidence > _SURE
    wrong, count = np.flatnonzero(sure & ~kept.right), int(sure.sum())
    if not count:
        return
    interval = wilson(len(wrong), count)
    worst = wrong[np.argsort(-kept.confidence[wrong], kind="stable")][:12]
    yield Finding(
        "sure_mistakes",
        "calibration",
        len(wrong) / count,
        interval,
        count,
        judge(interval, look=0.1, bad=0.2),
        f"{len(wrong):,} of {count:,} answers with a confidence above {_SURE:.0%} are wrong.",
        tuple(Shown(kept.ids[row], f"surely {kept.label_names[kept.predictions[row]]}") for row in worst),
        "Calibrate it: backlight calibrate",
        gain=len(wrong) / len(kept),
    )


CARD = CheckCard(
    "sure_mistakes",
    "calibration",
    sure_mistakes,
    needs=frozenset({"labels"}),
    reference="the example package of Backlight's documentation",
    avoid="models that are never sure: there is nothing to count",
)
