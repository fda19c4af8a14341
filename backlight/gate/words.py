"""Numbers and names of documents in sentences."""

from __future__ import annotations

_SHOWN = 200


def amount(value: float, share: bool) -> str:
    """Write a share of pictures as percent, any other number with four digits.

    >>> amount(0.897, True), amount(0.92, True), amount(1234.5678, False)
    ('89.7%', '92%', '1235')
    """
    return f"{100 * value:.3g}%" if share else f"{value:.4g}"


def beside(value: float, bound: float, share: bool) -> str:
    """Write a number with as many digits as tell it from a bound.

    >>> beside(0.91996, 0.92, True), beside(0.5, 0.92, True)
    ('91.996%', '50%')
    """
    if value == bound or amount(value, share) != amount(bound, share):
        return amount(value, share)
    scaled = (100 * value, 100 * bound) if share else (value, bound)
    digits = next((one for one in range(4, 17) if f"{scaled[0]:.{one}g}" != f"{scaled[1]:.{one}g}"), 17)
    return f"{scaled[0]:.{digits}g}" + ("%" if share else "")


def points(value: float, share: bool) -> str:
    """Write the size of a difference, of shares in percentage points.

    >>> points(-0.03, True), points(0.25, False)
    ('3 points', '0.25')
    """
    return f"{100 * abs(value):.3g} points" if share else f"{abs(value):.4g}"


def readable(text: str) -> str:
    """Return a text of somebody else's document as it can be written anywhere: without half surrogates, shortened.

    >>> readable("a\\ud800b")
    'a?b'
    """
    whole = text.encode("utf-8", "replace").decode()
    return whole if len(whole) <= _SHOWN else whole[: _SHOWN - 3] + "..."
