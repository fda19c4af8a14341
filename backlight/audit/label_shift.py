"""Which classes are more or less frequent in an unlabeled set: from predictions, by the confusion on a labeled one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backlight.audit.arrays import Array, read_labels
from backlight.core.errors import InputError
from backlight.core.random import Seed, generator_seed

DRAWS = 200
LEAST_SINGULAR = 0.02


@dataclass(frozen=True, eq=False, repr=False)
class LabelShift:
    """Shares of K classes in a labeled set and, estimated, in an unlabeled one, with intervals `[K,2]`,
    so wide that all of them hold at once in 95% of cases.

    `least_singular` is the least singular value of the confusion: how much of a change of shares predictions show.

    >>> found = estimate_label_shift([0, 0, 1, 1] * 50, [0, 0, 1, 1] * 50, [0, 1, 1, 1] * 50, classes=2)
    >>> found.second.round(2).tolist()
    [0.25, 0.75]
    """

    first: np.ndarray
    second: np.ndarray
    intervals: np.ndarray
    least_singular: float

    @property
    def changed(self) -> np.ndarray:
        """Return the classes whose interval leaves out their share in the labeled set, the largest change first."""
        outside = (self.first < self.intervals[:, 0]) | (self.first > self.intervals[:, 1])
        order = np.argsort(-np.abs(self.second - self.first), kind="stable")
        return order[outside[order]]


def compare_shares(first: Array, second: Array, classes: int) -> np.ndarray:
    """Compute p-values `[K]` of equal shares of each class in two sets of labels or predictions.

    Exact, two-sided (Fisher 1935), and corrected for the number of classes (Bonferroni): any of them below 0.05 has
    5% chance at most where the sets are drawn alike.

    >>> compare_shares([0] * 50 + [1] * 50, [0] * 90 + [1] * 10, classes=2).max() < 1e-6
    np.True_
    """
    from scipy.stats import hypergeom

    counts = np.stack([np.bincount(read_labels(one, len(one), classes), minlength=classes) for one in (first, second)])
    drawn, total = counts[0], counts.sum(0)
    law = hypergeom(int(counts.sum()), total, int(drawn.sum()))
    smaller = np.minimum(law.cdf(drawn), law.sf(drawn - 1))
    return np.minimum(1.0, 2 * smaller * classes)


def estimate_label_shift(
    labels: Array, predictions: Array, others: Array, *, classes: int, draws: int = DRAWS, seed: Seed = 0
) -> LabelShift:
    """Estimate the shares of K classes among pictures with predictions `others` `[M]` and no labels (BBSE).

    `labels` and `predictions` `[N]` are of a labeled set. It is assumed that shares change and nothing else: each
    class looks as before. Both sets are drawn again for the intervals. Source: Lipton et al. 2018, arXiv:1802.03916.

    Raises InputError where a class has no picture, and where the confusion is so ill-conditioned that its inverse
    would turn noise into shares.

    >>> found = estimate_label_shift([0, 1] * 100, [0, 1] * 100, [0, 1] * 100, classes=2)
    >>> found.changed.tolist()
    []
    """
    from scipy.special import ndtri

    truth = read_labels(labels, len(labels), classes)
    said, elsewhere = (read_labels(one, len(one), classes) for one in (predictions, others))
    if len(said) != len(truth) or not len(elsewhere):
        raise InputError(f"{len(said)} predictions for {len(truth)} labels", expected="one for each, and some others")
    cells = said * classes + truth
    singular = _least_singular(cells, truth, classes)
    drawn = np.empty((draws, classes))
    draw = np.random.default_rng(generator_seed((seed, "label shift")))
    for row in range(draws):
        some = cells[draw.integers(0, len(cells), len(cells))]
        drawn[row] = _shares(some, elsewhere[draw.integers(0, len(elsewhere), len(elsewhere))], classes)
    shares = _shares(cells, elsewhere, classes)
    half = float(ndtri(1 - 0.025 / classes)) * drawn.std(0)
    intervals = np.stack([(shares - half).clip(min=0), (shares + half).clip(max=1)], 1)
    return LabelShift(np.bincount(truth, minlength=classes) / len(truth), shares, intervals, singular)


def _least_singular(cells: np.ndarray, truth: np.ndarray, classes: int) -> float:
    """Return the least singular value of the confusion; raises InputError where noise is as large."""
    least = int(np.bincount(truth, minlength=classes).min())
    found = float(np.linalg.svd(_confusion(cells, classes), compute_uv=False).min()) if least else 0.0
    floor = max(LEAST_SINGULAR, 1 / max(least, 1) ** 0.5)
    if found < floor:
        raise InputError(
            f"the confusion of {classes} classes is ill-conditioned: its least singular value is {found:.2g}",
            expected=f"{floor:.2g} at least, with {least} pictures of the rarest class",
            hint="more labeled pictures of each class, or classes merged that the model cannot tell apart",
        )
    return found


def _confusion(cells: np.ndarray, classes: int) -> np.ndarray:
    """Return how often a class (column) is called each class (row), `[K,K]`."""
    counts = np.bincount(cells, minlength=classes**2).reshape(classes, classes).astype(np.float64)
    return counts / counts.sum(0).clip(min=1)


def _shares(cells: np.ndarray, seen: np.ndarray, classes: int) -> np.ndarray:
    said = np.bincount(seen, minlength=classes) / len(seen)
    solved = np.linalg.lstsq(_confusion(cells, classes), said, rcond=None)[0].clip(min=0)
    return solved / max(solved.sum(), 1e-12)
