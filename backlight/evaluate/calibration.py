"""Whether confidence means what it says: reliability, its expected error, temperature, and accuracy by coverage."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch.nn import functional as F

from backlight.core.errors import DataError
from backlight.table import Table

TEMPERATURES = (0.01, 100.0)
"""Between these a temperature is looked for."""

_AT_THE_END, _FLAT = 1.001, 1e-9


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
    """Sort pictures that have a prediction into bins of confidence and compare it with accuracy there.

    Raises DataError for unlabeled pictures and confidences outside of 0 to 1.

    >>> data = {"label": [0, 0], "prediction": [0, 1], "confidence": [1.0, 1.0]}
    >>> reliability(Table.of(id=["a", "b"], **data)).ece
    0.5
    """
    known = table["prediction"] >= 0
    if not len(known):
        raise DataError("no pictures and no confidences", expected="at least one")
    table = table.select("label", "prediction", "confidence").where(known)
    confidence = np.asarray(table["confidence"], dtype=np.float64)
    if not ((confidence >= 0) & (confidence <= 1 + 1e-6)).all():
        raise DataError("confidences outside of 0 to 1", expected="softmax probabilities")
    if (table["label"] < 0).any():
        raise DataError("pictures without labels", expected="all labeled")
    right = (table["label"] == table["prediction"]).astype(np.float64)
    place = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    counts = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        means = [np.bincount(place, weights=values, minlength=bins) / counts for values in (confidence, right)]
    return Reliability(counts, *means)


def fit_temperature(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Find the temperature T > 0 that makes softmax(logits / T) most likely for the labels (Guo 2017, section 4.2).

    The loss is convex in 1/T, so a search by thirds of log T within `TEMPERATURES` finds the one minimum.

    Where the loss still falls at an end, that end comes back, and 1 where it is the same everywhere: `beyond` says so.

    >>> logits = torch.tensor([[4.0, 0.0], [4.0, 0.0], [4.0, 0.0], [4.0, 0.0]])
    >>> round(fit_temperature(logits, torch.tensor([0, 0, 0, 1])), 2)  # log(3) / 4 = 1 / 3.64
    3.64
    """
    from scipy.optimize import minimize_scalar

    loss = partial(_loss_at, logits, labels)
    if _is_flat(loss):
        return 1.0
    result = minimize_scalar(
        lambda power: loss(10.0**power),
        bounds=tuple(math.log10(end) for end in TEMPERATURES),
        method="bounded",
        options={"xatol": 1e-6},
    )
    found = float(10.0**result.x)
    # Where all answers are right, the loss is 0 from some temperature on, and the search ends anywhere below it.
    return min(TEMPERATURES, key=loss) if min(map(loss, TEMPERATURES)) <= loss(found) else found


def beyond(temperature: float, logits: torch.Tensor, labels: torch.Tensor) -> str:
    """Return in words why the temperature that `fit_temperature` found is no optimum, empty where it is one.

    >>> beyond(1.0, torch.zeros(4, 2), torch.tensor([0, 0, 0, 1]))
    'the loss is the same at every temperature: the logits of a picture are all equal, or nearly so'
    """
    colder, warmer = TEMPERATURES
    if _is_flat(partial(_loss_at, logits, labels)):
        return "the loss is the same at every temperature: the logits of a picture are all equal, or nearly so"
    if temperature < colder * _AT_THE_END:
        why = f"the loss falls with the temperature, beyond the bound of {colder:g}: hardly an answer is wrong"
        return f"{why}; more pictures would tell, or ones that the model was not trained on"
    if temperature <= warmer / _AT_THE_END:
        return ""
    why = f"the loss falls as the temperature grows, beyond the bound of {warmer:g}"
    if not _better_than_chance(logits, labels):
        chance = "no temperature helps, since the answers are no better than chance"
        return f"{why}: {chance}; look at the labels and the order of the classes"
    largest = float(logits[logits.isfinite()].abs().max())
    return f"{why}: the logits are as large as {largest:.3g}; divide them, if that is what the model is meant to return"


def _loss_at(logits: torch.Tensor, labels: torch.Tensor, temperature: float) -> float:
    # Below their maximum, which changes no loss, logits of any size can be divided.
    exact = logits.double()
    return float(F.cross_entropy((exact - exact.amax(1, keepdim=True)) / temperature, labels))


def _is_flat(loss: Callable[[float], float]) -> bool:
    colder, warmer = map(loss, TEMPERATURES)
    return warmer > 0 and abs(colder - warmer) <= _FLAT * warmer and abs(loss(1.0) - warmer) <= _FLAT * warmer


def _better_than_chance(logits: torch.Tensor, labels: torch.Tensor) -> bool:
    """Whether the loss falls below that of guessing at some temperature: by its slope in 1/T at 0."""
    exact, finite = logits.double(), logits.isfinite()
    means = torch.where(finite, exact, 0.0).sum(1) / finite.sum(1)
    return bool((exact.gather(1, labels[:, None])[:, 0] - means).mean() > 0)


def coverage_curve(table: Table) -> tuple[np.ndarray, np.ndarray]:
    """Return accuracy `[N]` on the most confident pictures against their share of all `[N]`.

    Pictures of equal confidence cannot be told apart, so each of them stands for the whole group.

    >>> data = {"label": [0, 0], "prediction": [0, 1], "confidence": [0.9, 0.6]}
    >>> [column.tolist() for column in coverage_curve(Table.of(id=["a", "b"], **data))]
    [[0.5, 1.0], [1.0, 0.5]]
    """
    confidence = np.where(table["prediction"] >= 0, table["confidence"], 0.0)
    order = np.argsort(-confidence, kind="stable")
    right, falling = (table["label"] == table["prediction"])[order], -confidence[order]
    del order, confidence  # of millions of rows each takes megabytes
    counts = np.searchsorted(falling, falling, side="right")
    return counts / len(counts), right.cumsum()[counts - 1] / counts
