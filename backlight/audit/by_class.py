"""Which classes a classifier is wrong about: the one that is least often right, and those that it confuses."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backlight.audit.card import CheckCard
from backlight.audit.examined import Examined
from backlight.audit.finding import Finding, Shown, judge
from backlight.audit.kept import Kept
from backlight.audit.words import number_of, pictures
from backlight.evaluate.confusion import Confusion
from backlight.evaluate.metrics import most_confused, per_class
from backlight.page.charts import interval_chart
from backlight.page.sections import percent
from backlight.table.statistics import exact_interval, wilson

_PAIRS, _PER_PAIR, _WORST, _CHARTED = 4, 4, 8, 20


def check_classes(examined: Examined) -> Iterator[Finding]:
    """Find the class that is least often right, of rare ones as far as can be told, and whether chance explains it."""
    from scipy.stats import binomtest

    kept = examined.kept
    counts = Confusion.of(kept.labels, kept.predictions, len(kept.label_names))
    present = np.flatnonzero(counts.totals > 0)
    if len(present) < 2:
        return
    shares = counts.right[present] / counts.totals[present]
    bounds = [wilson(int(counts.right[one]), int(counts.totals[one]), 1 - 0.05 / len(present))[1] for one in present]
    worst = int(present[np.argmin(bounds)])
    right, total = int(counts.right[worst]), int(counts.totals[worst])
    # Among many classes one is always lowest: the interval is as wide as their number asks for.
    interval = wilson(right, total, 1 - 0.05 / len(present))
    others = (int(counts.right.sum()) - right) / (len(kept) - total)
    # Of a handful of pictures Wilson's interval is too short: the exact test has to agree.
    surprising = binomtest(right, total, others, "less").pvalue < 0.05 / len(present)
    judged = judge(interval, look=others, bad=others / 2) if surprising else "good"
    name = kept.label_names[worst]
    sentence = f"{name} is right least often: {right:,} of {pictures(total)}, all others in {percent(others)}"
    sentence += "." if judged != "good" else "; with so many classes chance explains that."
    wrong = np.flatnonzero((kept.labels == worst) & ~kept.right)
    wrong = wrong[np.argsort(-kept.confidence[wrong], kind="stable")][:_WORST]
    order = present[np.argsort(shares, kind="stable")]
    rows = [(kept.label_names[one], *_share(counts, one)) for one in order[:_CHARTED]]
    yield Finding(
        "worst_class",
        "accuracy",
        right / total,
        interval,
        total,
        judged,
        sentence,
        tuple(Shown(kept.ids[row], f"{name}, taken for {kept.taken_for(int(row))}") for row in wrong)
        if judged != "good"
        else (),
        f"Collect more pictures of {name}, and look at its labels first." if judged != "good" else "",
        gain=max(0.0, others - right / total) * total / len(kept) if judged != "good" else 0.0,
        tables={"By class": _class_table(kept, counts, order)},
        charts={
            f"Accuracy by class{', the lowest' if len(order) > _CHARTED else ''}": interval_chart(
                rows, alt="Accuracy by class with 95% intervals", text=percent
            )
        },
    )


def _share(counts: Confusion, one: int) -> tuple[float, float, float, bool]:
    right, total = int(counts.right[one]), int(counts.totals[one])
    return right / total, *wilson(right, total), False


def _class_table(kept: Kept, counts: Confusion, order: np.ndarray) -> dict[str, list[object]]:
    scores = per_class(counts)
    bounds = [wilson(int(counts.right[one]), int(counts.totals[one])) for one in order]
    return {
        "class": [kept.label_names[one] for one in order],
        "pictures": [scores[one].n for one in order],
        "accuracy": [scores[one].accuracy for one in order],
        "from": [low for low, _ in bounds],
        "to": [high for _, high in bounds],
        "precision": [scores[one].precision for one in order],
        "f1": [scores[one].f1 for one in order],
    }


def check_confusions(examined: Examined) -> Iterator[Finding]:
    """Find the class that is most often taken for one other, with pictures of the commonest confusions."""
    kept = examined.kept
    counts = Confusion.of(kept.labels, kept.predictions, len(kept.label_names))
    pairs = most_confused(counts, kept.label_names)
    wrong = int((~kept.right).sum())
    if not pairs or pairs[0].count < 2:
        sentence = "No class is taken for the same other one twice."
        yield Finding("most_confused", "accuracy", 0.0, None, len(kept), "good", sentence)
        return
    first, total = pairs[0], int(counts.totals[kept.label_names.index(pairs[0].true)])
    # The commonest of many pairs, or of many classes of which each has one: the interval is as wide as they ask for.
    looked_at = max(len(counts.wrong), int((counts.totals > 0).sum()))
    interval = exact_interval(first.count, total, 1 - 0.05 / looked_at)
    judged = judge(interval, look=0.1, bad=0.3)
    sentence = f"{first.true} is taken for {first.predicted} most often: {first.count:,} of {pictures(total)}"
    shown = []
    for place, pair in enumerate(pairs[:_PAIRS]):
        true, other = kept.label_names.index(pair.true), kept.label_names.index(pair.predicted)
        rows = np.flatnonzero((kept.labels == true) & (kept.predictions == other))
        rows = rows[np.argsort(-kept.confidence[rows], kind="stable")][:_PER_PAIR]
        shown += [Shown(kept.ids[row], f"{pair.true}, taken for {pair.predicted}", group=place) for row in rows]
    yield Finding(
        "most_confused",
        "accuracy",
        first.fraction,
        interval,
        total,
        judged,
        f"{sentence}, of {number_of(wrong, 'mistake')}.",
        tuple(shown),
        "Look whether the two can be told apart on these pictures; mend labels or collect both."
        if judged in ("look", "bad")
        else "",
        gain=first.count / len(kept) if judged in ("look", "bad") else 0.0,
        tables={
            "Most confused": {
                "true": [one.true for one in pairs],
                "predicted": [one.predicted for one in pairs],
                "pictures": [one.count for one in pairs],
                "share of the class": [one.fraction for one in pairs],
            }
        },
    )


_NEEDS = frozenset({"labels"})
CARDS = (
    CheckCard("worst_class", "accuracy", check_classes, needs=_NEEDS),
    CheckCard("most_confused", "accuracy", check_confusions, needs=_NEEDS),
)
