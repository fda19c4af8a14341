"""Statistics that every table needs: intervals of shares."""

from __future__ import annotations

from backlight.core.errors import DataError


def wilson(successes: int, count: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the Wilson score interval of a proportion (Wilson 1927).

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
