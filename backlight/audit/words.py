"""Words that many findings share."""

from __future__ import annotations


def pictures(number: int) -> str:
    """Phrase a number of pictures, with thousands told apart.

    >>> pictures(1), pictures(2000)
    ('1 picture', '2,000 pictures')
    """
    return f"{number:,} picture" + ("" if number == 1 else "s")
