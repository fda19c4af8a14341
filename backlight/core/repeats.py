"""Whether names repeat, of which there may be millions: eight bytes for each, where a set of them takes a hundred."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def may_repeat(names: Iterable[str], count: int) -> bool:
    """Whether two of `count` names have one hash: always where two are equal, else once in 2^64 pairs.

    >>> may_repeat(["a", "b"], 2), may_repeat(["a", "b", "a"], 3)
    (False, True)
    """
    hashes = np.fromiter(map(hash, names), np.int64, count)
    hashes.sort()
    return bool((hashes[1:] == hashes[:-1]).any())
