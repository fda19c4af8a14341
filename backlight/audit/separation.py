"""How well a score tells unknown pictures from known ones: AUROC, false acceptances at a threshold, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from backlight.audit.arrays import Array, as_array, interval_of
from backlight.core.errors import InputError
from backlight.core.random import Seed, generator_seed

DRAWS = 200


@dataclass(frozen=True)
class Separation:
    """What one score makes of one unknown set of `n` pictures, against the known ones.

    `auroc` is the chance that a known picture scores above an unknown one (equal scores count half); `fpr` the share
    of the unknown ones that is accepted at the threshold. Intervals are of 95%, by the bootstrap.

    >>> measure_separation([3.0, 2.0], {"noise": [0.0, 1.0]}).sets["noise"].auroc
    1.0
    """

    n: int
    auroc: float
    auroc_interval: tuple[float, float]
    fpr: float
    fpr_interval: tuple[float, float]


@dataclass(frozen=True)
class Separated:
    """The threshold that accepts a share of the known pictures, and what each unknown set makes of it.

    >>> Separated(0.5, (0.4, 0.6), {}).threshold
    0.5
    """

    threshold: float
    threshold_interval: tuple[float, float]
    sets: Mapping[str, Separation]

    @property
    def mean_auroc(self) -> float:
        """Return the mean over the unknown sets; NaN where there is none."""
        return float(np.mean([one.auroc for one in self.sets.values()])) if self.sets else float("nan")


def measure_separation(
    known: Array, unknown: Mapping[str, Array], *, accept: float = 0.95, draws: int = DRAWS, seed: Seed = 0
) -> Separated:
    """Measure how scores (larger: more in-distribution) tell unknown pictures from known ones.

    The threshold is the largest that accepts a share `accept` of the known pictures. Both sets are drawn again
    `draws` times, all draws at once: after one sort a draw is a count per picture, and AUROC a sum of counts.
    Source: Hendrycks and Gimpel 2017, arXiv:1610.02136; the bootstrap, Efron 1979.

    Raises InputError for empty sets, scores that are not numbers, and an `accept` outside of (0, 1].

    >>> found = measure_separation(np.arange(100.0), {"far": np.arange(-100.0, 0.0), "same": np.arange(100.0)})
    >>> found.threshold, found.sets["far"].fpr, found.sets["same"].auroc
    (5.0, 0.0, 0.5)
    """
    if not 0 < accept <= 1:
        raise InputError(f"accept {accept}", expected="a share above 0 and at most 1")
    ordered = np.sort(_scores("known", known))
    others = {name: np.sort(_scores(name, values)) for name, values in unknown.items()}
    draw = np.random.default_rng(generator_seed((seed, "separation")))
    everything = np.concatenate([np.ones((1, len(ordered)), np.int64), _counts(draw, len(ordered), draws)])
    below = np.zeros((len(everything), len(ordered) + 1), np.int32)  # known pictures below a place, per draw
    np.cumsum(everything, axis=1, out=below[:, 1:])
    places = _places(below, len(ordered) - int(np.ceil(accept * len(ordered) - 1e-9)))
    thresholds = ordered[places]
    sets = {name: _of_set(ordered, below, thresholds, values, draw) for name, values in others.items()}
    return Separated(float(thresholds[0]), interval_of(thresholds[1:]), sets)


def _scores(name: str, values: Array) -> np.ndarray:
    found = as_array(values).astype(np.float64)
    if found.ndim != 1 or not len(found) or np.isnan(found).any():
        raise InputError(f"scores of {name} are {list(found.shape)}, or NaN", expected="numbers [N], N above 0")
    return found


def _counts(draw: np.random.Generator, count: int, draws: int) -> np.ndarray:
    """Count how often each of `count` pictures is drawn, `[draws,count]`."""
    return np.stack([np.bincount(draw.integers(0, count, count), minlength=count) for _ in range(draws)])


def _places(below: np.ndarray, rejected: int) -> np.ndarray:
    """Find, for each draw, the place of the known picture below which `rejected` drawn ones lie at most."""
    return np.array([int(np.searchsorted(row, rejected, side="right")) - 1 for row in below])


def _of_set(
    ordered: np.ndarray, below: np.ndarray, thresholds: np.ndarray, values: np.ndarray, draw: np.random.Generator
) -> Separation:
    count, total = len(values), len(ordered)
    everything = np.concatenate([np.ones((1, count), np.int64), _counts(draw, count, len(below) - 1)])
    left, right = (np.searchsorted(ordered, values, side=side) for side in ("left", "right"))
    beaten = total - (below[:, left] + below[:, right]) / 2  # known pictures above each unknown one, ties half
    aurocs = (everything * beaten).sum(1) / (count * total)
    accepted = np.cumsum(everything[:, ::-1], axis=1)[:, ::-1]  # drawn pictures from a place on
    first = np.searchsorted(values, thresholds, side="left")
    rows = np.arange(len(first))
    fprs = np.where(first < count, accepted[rows, np.minimum(first, count - 1)], 0) / count
    return Separation(count, float(aurocs[0]), interval_of(aurocs[1:]), float(fprs[0]), interval_of(fprs[1:]))
