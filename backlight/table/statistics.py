"""Statistics that every table needs: intervals of shares, and whether two of them differ."""

from __future__ import annotations

import math

import numpy as np

from backlight.core.errors import DataError

Z = 1.959963984540054
"""Standard deviations to either side of a 95% interval."""


def wilson(successes: float, count: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the Wilson score interval of a proportion (Wilson 1927); a mean of shares has successes between numbers.

    Raises DataError unless 0 <= successes <= count and count is at least 1.

    >>> tuple(round(bound, 4) for bound in wilson(8, 10))
    (0.4902, 0.9433)
    """
    from scipy.special import ndtri

    if not 0 <= successes <= count or count < 1:
        raise DataError(f"{successes} of {count}", expected="a share of at least one")
    z, p = float(ndtri((1 + confidence) / 2)), successes / count
    center = (p + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * (p * (1 - p) / count + z * z / (4 * count * count)) ** 0.5
    # The exact bounds are 0 and 1 there; rounding would leave them a little inside or outside.
    return (0.0 if successes == 0 else center - half), (1.0 if successes == count else center + half)


def exact_interval(successes: int, count: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the exact interval of a proportion (Clopper and Pearson 1934): for what is judged by one of its ends.

    Wilson's is right on average, but of a handful its lower end is too high: one of ten would be above 1%. Raises
    DataError as `wilson` does.

    >>> tuple(round(bound, 4) for bound in exact_interval(1, 10))
    (0.0025, 0.445)
    """
    from scipy.special import betaincinv

    if not 0 <= successes <= count or count < 1:
        raise DataError(f"{successes} of {count}", expected="a share of at least one")
    beyond = (1 - confidence) / 2
    low = 0.0 if successes == 0 else float(betaincinv(successes, count - successes + 1, beyond))
    high = 1.0 if successes == count else float(betaincinv(successes + 1, count - successes, 1 - beyond))
    return low, high


def mean_interval(values: np.ndarray) -> tuple[float, tuple[float, float]]:
    """Return the mean and its 95% interval, by Student's t, of zeros and ones by Wilson.

    Values that are not finite are left out.

    >>> mean_interval(np.array([1.0, 2.0, 3.0, np.nan]))[0]
    2.0
    """
    from scipy.special import stdtrit  # Student's t: scipy.stats takes a second and 45 MiB to import

    known = np.asarray(values, dtype=float)
    known = known[np.isfinite(known)]
    if not len(known):
        return math.nan, (math.nan, math.nan)
    mean = float(known.mean())
    if np.isin(known, (0, 1)).all():
        return mean, wilson(int(known.sum()), len(known))
    if len(known) == 1:
        return mean, (mean, mean)
    half = float(stdtrit(len(known) - 1, 0.975) * known.std(ddof=1) / math.sqrt(len(known)))
    return mean, (mean - half, mean + half)


def mcnemar(only_first: int, only_second: int) -> float:
    """Return McNemar's exact two-sided probability of a split at least this uneven among pictures that differ.

    >>> mcnemar(1, 9), mcnemar(0, 0)
    (0.021484375, 1.0)
    """
    from scipy.stats import binomtest

    apart = only_first + only_second
    return float(binomtest(only_first, apart).pvalue) if apart else 1.0


def paired_interval(more: int, less: int, count: int) -> tuple[float, float]:
    """Return the 95% interval of a difference of paired shares (Agresti and Min 2005): `more` gained, `less` lost.

    Half a picture is added to each of the four cells.

    >>> tuple(round(bound, 3) for bound in paired_interval(9, 1, 100))
    (0.017, 0.14)
    """
    from scipy.special import ndtri

    b, c, n = more + 0.5, less + 0.5, count + 2
    half = float(ndtri(0.975)) * ((b + c) - (b - c) ** 2 / n) ** 0.5 / n
    center = (b - c) / n
    return max(-1.0, center - half), min(1.0, center + half)


def unpaired_interval(first: tuple[int, int], second: tuple[int, int]) -> tuple[float, float]:
    """Return Newcombe's (1998, method 10) 95% interval of the second share minus the first, each successes and count.

    >>> tuple(round(bound, 4) for bound in unpaired_interval((48, 80), (56, 70)))  # his first example
    (0.0524, 0.3339)
    """
    (low, high), (low_second, high_second) = wilson(*first), wilson(*second)
    one, other = first[0] / first[1], second[0] / second[1]
    below = ((other - low_second) ** 2 + (high - one) ** 2) ** 0.5
    above = ((high_second - other) ** 2 + (one - low) ** 2) ** 0.5
    return other - one - below, other - one + above


def expected_calibration_error(confidence: np.ndarray, right: np.ndarray, bins: int = 15) -> float:
    """Return the expected calibration error of confidences `[N]` and whether each was right `[N]` (Naeini 2015).

    Bins are of equal width; a confidence on an edge falls into the bin above it, and 1 into the last.

    >>> expected_calibration_error(np.array([1.0, 1.0]), np.array([True, False]))
    0.5
    """
    place = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    gaps = np.bincount(place, weights=np.asarray(confidence, dtype=np.float64) - right, minlength=bins)
    return float(np.abs(gaps).sum() / len(confidence))
