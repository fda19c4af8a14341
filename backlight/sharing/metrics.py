"""Which numbers of a verb's document a model card shows, and how a hub calls them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

_LEVELS = 255


@dataclass(frozen=True)
class Metric:
    """One number: the hub's name of its kind, what people call it, the value, and its 95% interval.

    >>> Metric("accuracy", "Accuracy", 0.5, (0.4, 0.6)).value
    0.5
    """

    type: str
    name: str
    value: float
    interval: tuple[float, float] | None = None


def metrics_of(document: Mapping[str, Any]) -> list[Metric]:
    """Return the numbers of an evaluation, a test of robustness, corruptions or an audit that a card should show.

    A document of another kind has none, and a number that is null is left out.

    >>> [one.name for one in metrics_of({"accuracy": 0.5, "ece": 0.1, "per_class": {}})]
    ['Accuracy', 'Expected calibration error']
    """
    return [*_evaluation(document), *_robustness(document), *_corruptions(document), *_audit(document)]


def _evaluation(document: Mapping[str, Any]) -> Iterator[Metric]:
    if "per_class" not in document or "accuracy" not in document:
        return
    yield from _one(document, "accuracy", "accuracy", "Accuracy", "accuracy_interval")
    yield from _one(document, "top5", "accuracy", "Top-5 accuracy")
    yield from _one(document, "balanced_accuracy", "accuracy", "Balanced accuracy")
    yield from _one(document, "macro_f1", "f1", "Macro F1")
    yield from _one(document, "ece", "expected_calibration_error", "Expected calibration error")


def _robustness(document: Mapping[str, Any]) -> Iterator[Metric]:
    if "robust_accuracy" not in document:
        return
    under = f"{document.get('attack', 'attack')}, {size_text(document.get('norm'), document.get('eps'))}"
    stand_in = f"; stands in for {document['stands_in_for']}" if document.get("stands_in_for") else ""
    yield from _one(document, "robust_accuracy", "accuracy", f"Robust accuracy ({under}{stand_in})", "interval")
    yield from _one(document, "median_distance", "distance", f"Median distance of the attack ({under})")


def size_text(norm: Any, eps: Any) -> str:
    """Write the size of a perturbation as people do: in levels of 255 for linf.

    >>> size_text("linf", 8 / 255), size_text("l2", 0.5), size_text("l2", None)
    ('linf 8/255', 'l2 0.5', 'l2, any size')
    """
    if eps is None:
        return f"{norm}, any size"
    if norm != "linf":
        return f"{norm} {eps:g}"
    levels = Fraction(eps * _LEVELS).limit_denominator(100)
    return f"{norm} {float(levels):g}/{_LEVELS}"


def _corruptions(document: Mapping[str, Any]) -> Iterator[Metric]:
    if "kinds" not in document or "mean_accuracy" not in document:
        return
    of = f"{len(document.get('counted', document['kinds']))} corruptions"
    yield from _one(document, "mean_accuracy", "accuracy", f"Mean accuracy under {of}")
    yield from _one(document, "mce", "mce", "Mean corruption error (mCE)")


def _audit(document: Mapping[str, Any]) -> Iterator[Metric]:
    findings = document.get("findings", [])
    for one in findings if isinstance(findings, list) else ():
        if isinstance(one, Mapping) and one.get("name") == "accuracy":
            yield from _one(one, "value", "accuracy", "Accuracy (audit)", "interval")


def _one(document: Mapping[str, Any], key: str, kind: str, name: str, interval: str = "") -> Iterator[Metric]:
    value, ends = document.get(key), document.get(interval)
    if isinstance(value, int | float) and not isinstance(value, bool):
        known = isinstance(ends, list) and len(ends) == 2 and all(isinstance(one, int | float) for one in ends)
        yield Metric(kind, name, float(value), (float(ends[0]), float(ends[1])) if known and ends else None)
