"""How accurate a classifier may be on pictures without labels: two estimates from its confidence, and their limits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backlight.audit.arrays import Array, interval_of, read_labels, read_probabilities
from backlight.core.errors import InputError
from backlight.core.random import Seed, generator_seed

DRAWS = 200
WARNING = (
    "Both are guesses without labels: they hold where the shift lowers confidence as it lowers accuracy, and miss a "
    "model that is surely wrong. Label a hundred of these pictures before you rely on them."
)


@dataclass(frozen=True)
class EstimatedAccuracy:
    """Estimates of the accuracy on an unlabeled set, each with a 95% interval that knows nothing of the assumption.

    `thresholded` is ATC: the share of pictures surer than a threshold, above which as large a share of the labeled
    pictures lies as is right there. `confidence` is the mean confidence. `known` is the accuracy on the labeled set.

    >>> sure = np.array([[0.9, 0.1], [0.6, 0.4]])
    >>> estimate_accuracy(sure, [0, 1], sure[[0, 0, 0, 1]]).thresholded
    0.75
    """

    known: float
    threshold: float
    thresholded: float
    thresholded_interval: tuple[float, float]
    confidence: float
    confidence_interval: tuple[float, float]
    warning: str = WARNING


def estimate_accuracy(
    probabilities: Array, labels: Array, others: Array, *, draws: int = DRAWS, seed: Seed = 0
) -> EstimatedAccuracy:
    """Estimate the accuracy on pictures with probabilities `others` `[M,K]` and no labels.

    `probabilities` `[N,K]` and `labels` `[N]` are of a labeled set. Source: average thresholded confidence, Garg et
    al. 2022, arXiv:2201.04234; mean confidence, Hendrycks and Gimpel 2017, arXiv:1610.02136.

    Raises InputError for what are no probabilities or labels.

    >>> sure = np.array([[0.9, 0.1], [0.6, 0.4]])
    >>> estimate_accuracy(sure, [0, 0], sure).thresholded
    1.0
    """
    known, elsewhere = read_probabilities(probabilities), read_probabilities(others)
    if known.shape[1] != elsewhere.shape[1]:
        raise InputError(f"{known.shape[1]} and {elsewhere.shape[1]} classes", expected="the same in both sets")
    right = known.argmax(1) == read_labels(labels, len(known), known.shape[1])
    order = np.argsort(-known.max(1), kind="stable")  # the surest first
    sure, right = known.max(1)[order].astype(np.float64), right[order]
    there = np.sort(elsewhere.max(1).astype(np.float64))
    draw = np.random.default_rng(generator_seed((seed, "estimated accuracy")))
    threshold = _threshold(sure, right.sum())
    estimates, means = [], []
    for _ in range(draws):
        rows = np.sort(draw.integers(0, len(sure), len(sure)))
        chosen = there[np.sort(draw.integers(0, len(there), len(there)))]
        estimates.append(_above(chosen, _threshold(sure[rows], right[rows].sum())))
        means.append(chosen.mean())
    return EstimatedAccuracy(
        float(right.mean()),
        threshold,
        _above(there, threshold),
        interval_of(np.array(estimates)),
        float(there.mean()),
        interval_of(np.array(means)),
    )


def _threshold(sure: np.ndarray, right: int) -> float:
    """Return the confidence that as many pictures reach as are right, infinite where none is."""
    return float(sure[right - 1]) if right else float("inf")


def _above(ordered: np.ndarray, threshold: float) -> float:
    return float(1 - np.searchsorted(ordered, threshold, side="left") / len(ordered))
