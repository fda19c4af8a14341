"""Whether confidence means what it says: reliability, its expected error, temperature, and accuracy by coverage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from backlight.errors import DataError
from backlight.table import Table


@dataclass(frozen=True)
class Reliability:
    """Confidence against accuracy in bins of equal width over 0 to 1; `ece` is their expected difference.

    `counts`, `confidence` and `accuracy` are `[bins]`, the latter two NaN in empty bins. A confidence on an edge
    falls into the bin above it, and 1 into the last.

    >>> bool(np.isnan(Reliability(np.array([0]), np.array([np.nan]), np.array([np.nan])).ece))
    True
    """

    counts: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    @property
    def ece(self) -> float:
        """Return the expected calibration error (Naeini 2015, Guo 2017): bins weighted by their pictures."""
        if not self.counts.sum():
            return float("nan")
        filled = self.counts > 0
        gaps = np.abs(self.accuracy[filled] - self.confidence[filled])
        return float((gaps * self.counts[filled]).sum() / self.counts.sum())


def reliability(table: Table, bins: int = 15) -> Reliability:
    """Sort pictures into bins of confidence and compare it with accuracy there.

    Raises DataError for unlabeled pictures and confidences outside of 0 to 1.

    >>> data = {"label": [0, 0], "prediction": [0, 1], "confidence": [1.0, 1.0]}
    >>> reliability(Table.of(id=["a", "b"], **data)).ece
    0.5
    """
    confidence = np.asarray(table["confidence"], dtype=np.float64)
    if not len(confidence) or not ((confidence >= 0) & (confidence <= 1 + 1e-6)).all():
        raise DataError("confidences outside of 0 to 1, or none", expected="softmax probabilities")
    if int(table["label"].min()) < 0:
        raise DataError("pictures without labels", expected="all labeled")
    right = (table["label"] == table["prediction"]).astype(np.float64)
    place = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    counts = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        means = [np.bincount(place, weights=values, minlength=bins) / counts for values in (confidence, right)]
    return Reliability(counts, *means)


def fit_temperature(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Find the temperature T > 0 that makes softmax(logits / T) most likely for the labels (Guo 2017, section 4.2).

    The loss is convex in 1/T, so a search by thirds of log T in 0.01 to 100 finds the one minimum.

    >>> logits = torch.tensor([[4.0, 0.0], [4.0, 0.0], [4.0, 0.0], [4.0, 0.0]])
    >>> round(fit_temperature(logits, torch.tensor([0, 0, 0, 1])), 2)  # log(3) / 4 = 1 / 3.64
    3.64
    """
    from scipy.optimize import minimize_scalar

    exact = logits.double()
    result = minimize_scalar(
        lambda power: float(F.cross_entropy(exact / 10.0**power, labels)),
        bounds=(-2.0, 2.0),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(10.0**result.x)


def coverage_curve(table: Table) -> tuple[np.ndarray, np.ndarray]:
    """Return accuracy `[N]` on the most confident pictures against their share of all `[N]`.

    Pictures of equal confidence cannot be told apart, so each of them stands for the whole group.

    >>> data = {"label": [0, 0], "prediction": [0, 1], "confidence": [0.9, 0.6]}
    >>> [column.tolist() for column in coverage_curve(Table.of(id=["a", "b"], **data))]
    [[0.5, 1.0], [1.0, 0.5]]
    """
    confidence = table["confidence"]
    order = np.argsort(-confidence, kind="stable")
    right = (table["label"] == table["prediction"])[order]
    count = np.arange(1, len(order) + 1)
    ends = np.searchsorted(-confidence[order], -confidence[order], side="right") - 1
    return (count / len(order))[ends], (right.cumsum() / count)[ends]
