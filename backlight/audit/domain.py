"""What makes two sets of pictures different: a classifier of the set, and the pictures that it is surest of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backlight.audit.arrays import Array, Ids, read_matrix, rows_of
from backlight.audit.probe import out_of_fold
from backlight.audit.separation import measure_separation
from backlight.audit.shift import choose_rows
from backlight.core.errors import InputError
from backlight.core.random import Seed


@dataclass(frozen=True, eq=False, repr=False)
class Domain:
    """How well a probe tells two sets apart, judged on pictures that it was not fitted on.

    auroc, interval  0.5 is chance; the interval is of 95%, by the bootstrap
    p_value          of one-sided Mann-Whitney tests against chance, one per fold, combined
    telling          rows of the second set, the one that looks least like the first set first
    doubt            the probability of the second set for each of those rows
    n                how many pictures of both sets were used

    >>> found = tell_apart(np.zeros((20, 2)), np.eye(2)[np.arange(20) % 2] * 9)
    >>> found.auroc, len(found.telling)
    (1.0, 20)
    """

    auroc: float
    interval: tuple[float, float]
    p_value: float
    telling: np.ndarray
    doubt: np.ndarray
    n: int


def tell_apart(
    first: Array,
    second: Array,
    *,
    first_ids: Ids = None,
    second_ids: Ids = None,
    most: int = 2000,
    seed: Seed = 0,
) -> Domain:
    """Fit a linear probe to tell features `[N,D]` from features `[M,D]`, in five folds.

    Of each set at most `most` pictures are used, as many of one as of the other. Source: Rabanser et al. 2019,
    arXiv:1810.11953; Lopez-Paz and Oquab 2017, arXiv:1610.06545.

    Raises InputError for other shapes, and for sets of fewer than ten pictures.

    >>> second = np.zeros((20, 2))
    >>> second[3] = 9  # one picture that is nothing like the others
    >>> int(tell_apart(np.zeros((20, 2)), second).telling[0])
    3
    """
    first, second = read_matrix(first), read_matrix(second)
    if first.shape[1] != second.shape[1] or min(len(first), len(second)) < 10:
        raise InputError(f"features {list(first.shape)} and {list(second.shape)}", expected="[N,D] and [M,D], 10 rows")
    count = min(len(first), len(second), most)
    rows = [choose_rows(len(one), count, ids=ids, seed=seed) for one, ids in ((first, first_ids), (second, second_ids))]
    features = np.concatenate([rows_of(one, chosen).numpy() for one, chosen in zip((first, second), rows)])
    labels = np.repeat([0, 1], count)
    # Pictures of both sets may share an id, so the folds are keyed by places.
    judged = out_of_fold(features, labels, classes=2, seed=seed)
    scores = judged.probabilities[:, 1]
    found = measure_separation(-scores[:count], {"second": -scores[count:]}, seed=seed).sets["second"]
    p_value = _p_value(scores, labels, judged.folds)
    order = np.argsort(-scores[count:], kind="stable")
    return Domain(found.auroc, found.auroc_interval, p_value, rows[1][order], scores[count:][order], 2 * count)


def _p_value(scores: np.ndarray, labels: np.ndarray, folds: np.ndarray) -> float:
    """Test each fold, whose probe has not seen it, and combine: folds depend on each other, so they are not pooled.

    Cauchy combination, which holds for dependent tests (Liu and Xie 2020, arXiv:1808.09011).
    """
    from scipy.stats import mannwhitneyu

    found = []
    for fold in np.unique(folds):
        one, other = (scores[(folds == fold) & (labels == label)] for label in (1, 0))
        found.append(float(mannwhitneyu(one, other, alternative="greater", method="asymptotic").pvalue))
    mean = float(np.mean(np.tan((0.5 - np.clip(found, 1e-15, 1 - 1e-15)) * np.pi)))
    return float(0.5 - np.arctan(mean) / np.pi)
