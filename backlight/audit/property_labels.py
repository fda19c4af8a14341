"""Whether a label can be told without looking at the thing: by what a camera or a background decides."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backlight.audit.card import CheckCard
from backlight.audit.examined import Examined
from backlight.audit.finding import Finding, judge
from backlight.audit.kept import PROPERTIES, Kept
from backlight.audit.probe import out_of_fold

_BINS, _LEAST, _PENALTY = 8, 10, 0.01
_OF_THE_THING = ("contrast", "saturation", "sharpness", "entropy")
"""Properties that things of different outlines differ in by their nature: told, and not judged."""


def check_property_labels(examined: Examined) -> Iterator[Finding]:
    """Find how well the properties that a camera or a background decides predict the label."""
    kept = examined.kept
    counts = np.bincount(kept.labels, minlength=len(kept.label_names))
    usable = np.flatnonzero(np.isin(kept.labels, np.flatnonzero(counts >= _LEAST)))
    names = [name for name in PROPERTIES if name in kept.properties]
    if not names or len(np.unique(kept.labels[usable])) < 2:
        return
    some = kept.take(usable)
    recalls, interval = _recalls(some, [name for name in names if name not in _OF_THE_THING], examined.seed)
    everything = _recalls(some, names, examined.seed)[0]
    classes = np.unique(some.labels)
    value, chance = float(recalls.mean()), 1 / len(classes)
    judgement = judge(interval, look=chance + 0.1, bad=chance + 0.6)
    seen = judgement != "good"
    sentence = (
        f"What a camera or a background decides (brightness, hue, border, size, JPEG quality) predicts the label with "
        f"a balanced accuracy of {value:.1%}, where chance is {chance:.1%}, and all properties with "
        f"{everything.mean():.1%}"
        + (": a shortcut is possible, unless the classes differ in these by nature." if seen else ".")
    )
    order = np.argsort(-recalls, kind="stable")
    table = {
        "class": [kept.label_names[classes[place]] for place in order],
        "recall by what the camera decides": recalls[order].tolist(),
        "recall by all properties": everything[order].tolist(),
    }
    yield Finding(
        "property_labels",
        "shortcuts",
        value,
        interval,
        len(some),
        judgement,
        sentence,
        next="Balance what differs between the classes, or check that it belongs to them." if seen else "",
        tables={"What properties tell": table},
    )


def _recalls(kept: Kept, names: list[str], seed: int) -> tuple[np.ndarray, tuple[float, float]]:
    """Return the recall of each class by a probe of properties, in five folds, and the interval of their mean."""
    labels = np.unique(kept.labels, return_inverse=True)[1]
    sizes = np.bincount(labels)
    binned = np.concatenate([_binned(kept.properties[name]) for name in names], axis=1)
    probed = out_of_fold(binned, labels, penalty=_PENALTY, ids=kept.ids, seed=seed)
    right = probed.probabilities.argmax(1) == labels
    counts = np.bincount(labels[right], minlength=len(sizes))
    # Smoothed, so that a class that is always right has an error too.
    smooth = (counts + 1) / (sizes + 2)
    half = 1.96 * float(np.sqrt((smooth * (1 - smooth) / sizes).sum())) / len(sizes)
    mean = float((counts / sizes).mean())
    return counts / sizes, (max(0.0, mean - half), min(1.0, mean + half))


def _binned(values: np.ndarray) -> np.ndarray:
    """Turn a property into columns of 0 and 1, one per eighth of the pictures: any dependence can be learned."""
    edges = np.unique(np.nanquantile(values, np.linspace(0, 1, _BINS + 1)[1:-1]))
    return np.eye(_BINS + 1, dtype=np.float32)[np.searchsorted(edges, np.nan_to_num(values, nan=np.inf))]


CARDS = (
    CheckCard(
        "property_labels",
        "shortcuts",
        check_property_labels,
        needs=frozenset({"labels"}),
        reference="deepchecks, property-label correlation",
        avoid="classes that differ in brightness or color by their nature",
    ),
)
