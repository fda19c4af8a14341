"""Labels and accuracy in the field: which classes are more frequent there, and how accurate the model may be."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backlight.audit.card import CheckCard
from backlight.audit.estimated_accuracy import estimate_accuracy
from backlight.audit.examined import Examined
from backlight.audit.field_shift import LEVEL, both_sets
from backlight.audit.finding import Finding, judge
from backlight.audit.kept import Kept
from backlight.audit.label_shift import LabelShift, compare_shares, estimate_label_shift
from backlight.core.errors import InputError
from backlight.table.statistics import unpaired_interval

_LISTED, _MOST = 20, 20_000


def check_label_shift(examined: Examined) -> Iterator[Finding]:
    """Compare how frequent classes are: by the labels of the field where it has them, else by predictions."""
    first, second = both_sets(examined)
    classes = len(first.label_names)
    columns = (first.labels, second.labels) if second.labeled else (first.predictions, second.predictions)
    p_values = compare_shares(*columns, classes)
    seen = bool(p_values.min() < LEVEL)
    shares = [np.bincount(one, minlength=classes) / len(one) for one in columns]
    table: dict[str, list[object]] = {
        "class": list(first.label_names),
        "before": shares[0].tolist(),
        "in the field": shares[1].tolist(),
        "p (Bonferroni)": p_values.tolist(),
    }
    estimate, refused = _estimate(first, second, classes, examined.seed)
    if estimate is not None:
        table |= {
            "estimated in the field": estimate.second.tolist(),
            "low": estimate.intervals[:, 0].tolist(),
            "high": estimate.intervals[:, 1].tolist(),
        }
    order = np.lexsort((-np.abs(shares[1] - shares[0]), p_values))[:_LISTED]
    most = int(order[0])
    what = "labels" if second.labeled else "predictions"
    sentence = _label_sentence(first.label_names[most], what, seen, shares, most, estimate) + refused
    counts = [(int((one == most).sum()), len(one)) for one in columns]
    low, high = unpaired_interval(counts[0], counts[1])
    yield Finding(
        "label_shift",
        "shift",
        abs(float(shares[1][most] - shares[0][most])),
        (0.0 if low < 0 < high else min(abs(low), abs(high)), max(abs(low), abs(high))),
        len(first) + len(second),
        "look" if seen else "good",
        sentence,
        next="Weigh the classes as the field does before you quote one accuracy." if seen else "",
        tables={f"Shares by {what}": {name: [column[row] for row in order] for name, column in table.items()}},
    )


def _estimate(first: Kept, second: Kept, classes: int, seed: int) -> tuple[LabelShift | None, str]:
    try:
        return estimate_label_shift(first.labels, first.predictions, second.predictions, classes=classes, seed=seed), ""
    except InputError as error:
        return None, f" The shares behind the predictions were not estimated: {error.found}."


def _label_sentence(
    name: str, what: str, seen: bool, shares: list[np.ndarray], most: int, estimate: LabelShift | None
) -> str:
    if not seen:
        return f"No class is more or less frequent than chance allows, by {what}."
    words = f"By {what}, {name} goes from {shares[0][most]:.1%} to {shares[1][most]:.1%} of the pictures"
    if estimate is None:
        return words + "."
    low, high = estimate.intervals[most]
    return words + f"; the share behind it is estimated at {estimate.second[most]:.1%} ({low:.1%} to {high:.1%})."


def check_estimated_accuracy(examined: Examined) -> Iterator[Finding]:
    """Estimate the accuracy in the field from confidence alone, with a warning."""
    first, second = both_sets(examined, _MOST)
    found = estimate_accuracy(first.probabilities, first.labels, second.probabilities, seed=examined.seed)
    (low, high), (least, most) = found.thresholded_interval, found.confidence_interval
    sentence = (
        f"In the field the accuracy may be {found.thresholded:.1%} ({low:.1%} to {high:.1%}) by thresholded confidence "
        f"and {found.confidence:.1%} ({least:.1%} to {most:.1%}) by mean confidence; before it was {found.known:.1%}"
        + (f"; the labels of the field say {second.right.mean():.1%}" if second.labeled else "")
        + f". {found.warning}"
    )
    drop = (found.known - high, found.known - low)
    yield Finding(
        "estimated_accuracy",
        "shift",
        found.thresholded,
        found.thresholded_interval,
        len(second),
        judge(drop, look=0.02, bad=0.1),
        sentence,
        next="" if second.labeled else "Label a hundred pictures of the field.",
    )


_NEEDS = frozenset({"against", "labels"})
CARDS = (
    CheckCard(
        "label_shift",
        "shift",
        check_label_shift,
        needs=_NEEDS,
        reference="Lipton et al., 2018, arXiv:1802.03916",
        avoid="where more than the shares of classes changed",
    ),
    CheckCard(
        "estimated_accuracy",
        "shift",
        check_estimated_accuracy,
        needs=_NEEDS,
        reference="Garg et al., 2022, arXiv:2201.04234",
        avoid="as a measurement: it is a guess",
    ),
)
