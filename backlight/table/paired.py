"""Two numbers on the same pictures: what each picture adds to them, and whether they differ by more than chance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from backlight.table.statistics import mcnemar, paired_interval

_DRAWS = 1999
_FEWEST = 10  # pairs from which a mean of differences can be drawn again


def mean(values: np.ndarray) -> float:
    """Return the mean of what each picture adds."""
    return float(values.mean())


class PerPicture(NamedTuple):
    """The ids of the pictures that a number rests on `[N]`, what each adds to it `[N, ...]`, and what it is of them."""

    ids: np.ndarray
    values: np.ndarray
    statistic: Callable[[np.ndarray], float] = mean


@dataclass(frozen=True)
class Change:
    """A number now against a baseline: `difference` is now minus before, with its 95% `interval`.

    `p` is the probability of a difference at least this large by chance, and `least_p` that of the largest fall (or
    rise) that was possible: where even that is no surprise, there are too few pictures. `test` says what told, `n` on
    how many pictures.

    >>> Change(0.43, 0.40, (-0.09, 0.03), 0.4, 0.0, "a test", 500).difference
    -0.0299...
    """

    before: float
    now: float
    interval: tuple[float, float]
    p: float
    least_p: float
    test: str
    n: int | None

    @property
    def difference(self) -> float:
        """Return the number now minus the number before."""
        return self.now - self.before


def compare_paired(now: PerPicture, before: PerPicture, name: str, falls: bool = True) -> Change | None:
    """Compare a number picture by picture, over the pictures that both have; None where they have none in common.

    Shares go through McNemar's exact test, other numbers through a paired bootstrap that is keyed by `name`.

    >>> ids = np.arange(20)
    >>> compare_paired(PerPicture(ids, np.ones(20)), PerPicture(ids, np.zeros(20)), "accuracy").difference
    1.0
    """
    _, ours, theirs = np.intersect1d(now.ids, before.ids, assume_unique=True, return_indices=True)
    if not len(ours):
        return None
    one, other, n = now.values[ours], before.values[theirs], len(ours)
    means = now.statistic(other), now.statistic(one)
    if one.ndim == 1 and np.isin(one, (0, 1)).all() and np.isin(other, (0, 1)).all():
        more, less = int((one > other).sum()), int((one < other).sum())
        most = int(other.sum()) if falls else n - int(other.sum())
        least_p = mcnemar(most, 0)
        interval = paired_interval(more, less, n)
        return Change(*means, interval, mcnemar(more, less), least_p, "McNemar's exact test", n)
    interval, p = _drawn_again(one, other, now.statistic, name)
    return Change(*means, interval, p, 0.0 if n >= _FEWEST else 1.0, "a paired bootstrap", n)


def _drawn_again(
    one: np.ndarray, other: np.ndarray, statistic: Callable[[np.ndarray], float], name: str
) -> tuple[tuple[float, float], float]:
    """Return the percentile interval of a difference over bootstrap samples, and how often its sign turns."""
    from backlight.core.random import generator_seed  # it needs torch, which no other gate waits for

    generator = np.random.default_rng(generator_seed(("gate", name)))
    draws = (generator.integers(len(one), size=len(one)) for _ in range(_DRAWS))
    drawn = np.array([statistic(one[rows]) - statistic(other[rows]) for rows in draws])
    low, high = np.quantile(drawn, (0.025, 0.975)).tolist()
    beyond = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    return (low, high), min(1.0, 2 * (beyond + 1) / (_DRAWS + 1))
