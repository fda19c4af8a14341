"""Where explanations of one picture agree: measured, then said in a sentence."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

_CELLS = 16  # pixels are compared in at most 16 x 16 cells: single pixels of a gradient are noise
_SHARE = 0.1
_PARTS = {"guided_gradcam": {"guided_backprop", "gradcam"}}  # the methods whose maps it multiplies
_ROWS, _COLUMNS = ("upper", "", "lower"), ("left", "", "right")


@dataclass(frozen=True)
class Pair:
    """Two methods: the share of their strongest tenth that they have in common, and their rank correlation.

    >>> Pair("saliency", "gradcam", 0.4, 0.6).overlap
    0.4
    """

    first: str
    second: str
    overlap: float
    correlation: float


@dataclass(frozen=True)
class Agreement:
    """How far maps agree: every pair, the mean overlap, what chance would give, and where most of them look.

    Two kinds of maps are not compared: `products` of others, which resemble them by construction, and `empty` ones,
    which are the same everywhere or not finite.

    >>> Agreement((Pair("a", "b", 0.5, 0.7),), 0.1, "in the middle").overlap
    0.5
    """

    pairs: tuple[Pair, ...]
    chance: float
    where: str | None
    products: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()

    @property
    def overlap(self) -> float:
        """Return the mean overlap of all pairs."""
        return sum(pair.overlap for pair in self.pairs) / len(self.pairs)

    @property
    def closest(self) -> Pair:
        """Return the pair with the highest rank correlation."""
        return max(self.pairs, key=lambda pair: pair.correlation)

    @property
    def farthest(self) -> Pair:
        """Return the pair with the lowest rank correlation."""
        return min(self.pairs, key=lambda pair: pair.correlation)

    @property
    def word(self) -> str:
        """Describe how far they agree, in one word."""
        return agreement_word(self.overlap)


def agreement_word(overlap: float) -> str:
    """Describe in one word how far maps agree whose strongest tenths have this share in common.

    >>> agreement_word(0.7), agreement_word(0.2)
    ('largely', 'hardly')
    """
    return "largely" if overlap >= 0.6 else "partly" if overlap >= 0.3 else "hardly"


def measure_agreement(maps: Mapping[str, Tensor]) -> Agreement | None:
    """Compare maps [H,W] of one picture, pooled to at most 16 x 16 cells; None where fewer than two say anything.

    >>> ramp = torch.arange(64.0).view(8, 8)
    >>> measure_agreement({"saliency": ramp, "gradcam": ramp**2}).closest.correlation
    1.0
    """
    cells = {name: _pool(heat) for name, heat in maps.items()}
    products = tuple(name for name, parts in _PARTS.items() if {name, *parts} <= set(maps))
    empty = tuple(name for name, one in cells.items() if name not in products and _says_nothing(one))
    kept = {name: one for name, one in cells.items() if name not in (*products, *empty)}
    if len(kept) < 2:
        return None
    count = len(next(iter(kept.values())).flatten())
    tenth = math.ceil(_SHARE * count)
    strongest = {name: _strongest(one, tenth) for name, one in kept.items()}
    pairs = tuple(
        Pair(a, b, float((strongest[a] & strongest[b]).sum()) / tenth, rank_correlation(kept[a], kept[b]))
        for a, b in itertools.combinations(kept, 2)
    )
    votes = torch.stack(list(strongest.values())).sum(0)
    return Agreement(pairs, tenth / count, _place(votes * 2 > len(kept)), products, empty)


def rank_correlation(first: Tensor, second: Tensor) -> float:
    """Correlate the ranks of two tensors of one shape (Spearman); equal values share their mean rank.

    >>> rank_correlation(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([3.0, 2.0, 1.0]))
    -1.0
    """
    ranks = torch.stack([_ranks(first), _ranks(second)])
    return float(torch.corrcoef(ranks)[0, 1].clamp(-1, 1))


def _ranks(values: Tensor) -> Tensor:
    _, place, counts = values.flatten().unique(return_inverse=True, return_counts=True)
    last = counts.cumsum(0).double()
    return (last - (counts - 1) / 2)[place]


def _pool(heat: Tensor) -> Tensor:
    height, width = heat.shape
    return F.adaptive_avg_pool2d(heat[None, None].double(), (min(height, _CELLS), min(width, _CELLS)))[0, 0]


def _says_nothing(cells: Tensor) -> bool:
    return not bool(torch.isfinite(cells).all()) or bool(cells.max() == cells.min())


def _strongest(cells: Tensor, count: int) -> Tensor:
    mark = torch.zeros(cells.numel(), dtype=torch.bool)
    # A stable sort, so that equal values are taken in the same order everywhere.
    mark[cells.flatten().argsort(descending=True, stable=True)[:count]] = True
    return mark.view(cells.shape)


def _place(marked: Tensor) -> str | None:
    if not bool(marked.any()):
        return None
    middle = (marked.nonzero().double().mean(0) + 0.5) / torch.tensor(marked.shape)
    row, column = (min(2, int(share * 3)) for share in middle.tolist())
    words = " ".join(word for word in (_ROWS[row], _COLUMNS[column]) if word)
    if row != 1 and column == 1:
        return "at the top" if row == 0 else "at the bottom"
    return f"on the {words}" if words else "in the middle"
