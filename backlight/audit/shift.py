"""Whether two sets of pictures differ: column by column, and by a kernel on all features at once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from backlight.audit.arrays import Array, Ids, as_array, keyed, read_matrix, rows_of
from backlight.core.errors import InputError
from backlight.core.random import Random, Seed

MOST_ROWS = 5000
"""Of each set at most so many pictures are compared column by column, chosen by key."""


@dataclass(frozen=True)
class ColumnShift:
    """One column of two sets: the Kolmogorov-Smirnov statistic, and its p-value times the number of columns.

    `interval` encloses the largest distance of the two distributions, of all columns at once in 95% of cases.

    >>> compare_columns({"x": np.arange(50)}, {"x": np.arange(50) + 40})[0].p_value < 0.05
    True
    """

    name: str
    statistic: float
    p_value: float
    first_median: float
    second_median: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class KernelShift:
    """The squared maximum mean discrepancy of two sets, and the share of permutations with as large a one.

    `chance` is the 95% quantile of what permuted sets show, `n` the pictures of both sets that were compared.

    >>> measure_discrepancy(torch.eye(8), torch.eye(8), permutations=9).n
    16
    """

    value: float
    chance: float
    p_value: float
    n: int


def choose_rows(count: int, most: int, *, ids: Ids = None, seed: Seed = 0) -> np.ndarray:
    """Choose at most `most` of `count` rows, keyed by ids: int64, in order.

    >>> len(choose_rows(10, 4)), choose_rows(3, 4).tolist()
    (4, [0, 1, 2])
    """
    if count <= most:
        return np.arange(count)
    keys = keyed((seed, "rows"), ids, count).uniform(dtype=torch.float64).numpy()
    return np.sort(np.argpartition(keys, most)[:most])


def compare_columns(
    first: Mapping[str, Array], second: Mapping[str, Array], *, seed: Seed = 0
) -> tuple[ColumnShift, ...]:
    """Compare two sets column by column (properties, softmax outputs), the most different first.

    Two-sample Kolmogorov-Smirnov tests; p-values are corrected for the number of columns (Bonferroni), so that any of
    them below 0.05 has 5% chance at most where nothing differs. Values that are not finite are left out.
    Source: Rabanser et al. 2019, arXiv:1810.11953.

    Raises InputError for sets of different columns.

    >>> first, second = {"x": np.arange(50), "y": np.arange(50)}, {"x": np.arange(50), "y": np.arange(50) + 40}
    >>> compare_columns(first, second)[0].name
    'y'
    """
    from scipy.stats import ks_2samp

    if set(first) != set(second) or not first:
        raise InputError(f"columns {sorted(set(first) ^ set(second))} of one set", expected="the same in both")
    found = []
    for name in first:
        one, other = (_sound(columns[name], seed) for columns in (first, second))
        if not len(one) or not len(other):
            continue
        test = ks_2samp(one, other, method="asymp")
        p_value = min(1.0, float(test.pvalue) * len(first))
        medians = float(np.median(one)), float(np.median(other))
        # Where one distribution function may lie (Kolmogorov's band), for both sets and all columns.
        half = math.sqrt(math.log(2 * len(first) / 0.05) / 2 * (1 / len(one) + 1 / len(other)))
        interval = max(0.0, test.statistic - half), min(1.0, test.statistic + half)
        found.append(ColumnShift(name, float(test.statistic), p_value, *medians, interval))
    return tuple(sorted(found, key=lambda one: (one.p_value, -one.statistic, one.name)))


def _sound(values: Array, seed: Seed) -> np.ndarray:
    found = as_array(values)
    found = found[np.isfinite(found)]
    return found[choose_rows(len(found), MOST_ROWS, seed=seed)]


def measure_discrepancy(
    first: Array, second: Array, *, permutations: int = 500, most: int = 2000, seed: Seed = 0
) -> KernelShift:
    """Compute the maximum mean discrepancy of features `[N,D]` and `[M,D]`, with a permutation test.

    The kernel is Gaussian, as wide as the median distance of the pooled pictures; at most `most` of each set are
    compared, and all permutations at once, by one product. Source: Gretton et al. 2012, JMLR 13.

    Raises InputError for other shapes, and for sets of fewer than two pictures.

    >>> found = measure_discrepancy(torch.zeros(20, 2), torch.ones(20, 2), permutations=99)
    >>> found.p_value, found.value > found.chance
    (0.01, True)
    """
    first, second = read_matrix(first), read_matrix(second)
    if first.shape[1] != second.shape[1] or min(len(first), len(second)) < 2:
        raise InputError(f"features {list(first.shape)} and {list(second.shape)}", expected="[N,D] and [M,D]")
    parts = [rows_of(one, choose_rows(len(one), most, seed=seed)) for one in (first, second)]
    pooled = torch.cat(parts)
    kernel = _kernel(pooled)
    count, total = len(parts[0]), len(pooled)
    signs = torch.full((permutations + 1, total), -1 / (total - count))
    signs[0, :count] = 1 / count
    order = Random((seed, "permutations"), torch.arange(permutations)).uniform(total).argsort(1)
    signs[1:].scatter_(1, order[:, :count], 1 / count)
    values = ((signs @ kernel) * signs).sum(1, dtype=torch.float64)
    beaten = int((values[1:] >= values[0] * (1 - 1e-6)).sum())
    chance = float(values[1:].quantile(0.95)) if permutations else float("nan")
    return KernelShift(float(values[0]), chance, (beaten + 1) / (permutations + 1), total)


def _kernel(pooled: Tensor) -> Tensor:
    """Compute the Gaussian kernel `[N,N]` in place: it is the only matrix of this size."""
    offset = pooled - pooled.mean(0)
    lengths = offset.square().sum(1)
    squares = (offset @ offset.T).mul_(-2).add_(lengths).add_(lengths[:, None]).clamp_(min=0).fill_diagonal_(0)
    some = squares[:: max(1, len(squares) // 500)]
    middle = float(some[some > 0].median()) if bool((some > 0).any()) else 1.0
    return squares.div_(-middle).exp_()
