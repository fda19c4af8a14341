"""Testing a random part of the survivors, and what that says about all of them."""

from __future__ import annotations

import torch
from torch import Tensor

from backlight.core.random import Random, Seed, hash_ids


def most_broken(survivors: int, tested: int, broken: int, confidence: float = 0.95) -> int:
    """Bound how many of `survivors` would break, when `broken` of `tested` random ones did.

    The largest number for which so few in a sample without replacement would not be a rare event (exact,
    hypergeometric, one-sided).

    >>> most_broken(1000, 300, 0), most_broken(300, 300, 2)
    (8, 2)
    """
    from scipy.stats import hypergeom

    low, high = broken, survivors - (tested - broken)
    while low < high:
        middle = (low + high + 1) // 2
        if hypergeom.cdf(broken, survivors, middle, tested) > 1 - confidence:
            low = middle
        else:
            high = middle - 1
    return low


def random_rows(count: int, ids: Tensor | list[str], seed: Seed, *, shuffled: bool = False) -> Tensor:
    """Choose `count` of the images by their ids alone: int64 places, the same in any order or process.

    They come in their own order, or in the random one.

    >>> len(random_rows(2, ["a", "b", "c"], 0))
    2
    """
    keys = hash_ids(ids)
    draws = Random((seed, "audit"), keys).uniform(1, dtype=torch.float64)[:, 0]
    chosen = draws.argsort()[:count]
    return chosen if shuffled else chosen.sort().values
