"""Nearest neighbors among stored features: exact, a part of all pairs at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from backlight.audit.arrays import Array, add_products, as_array, parts, read_matrix, rows_of
from backlight.core.errors import InputError

Metric = Literal["cosine", "l2"]

_QUERIES, _PAIRS = 1024, 2**23  # at once: 32 MiB of similarities
_BLOCK = 2048  # rows of both sides at once where a set is searched within itself
_CACHED = 2**18  # numbers of candidates at once: what is gone over several times must stay near the core
_SPARE = 4  # candidates more than asked for: their order is settled by differences, which do not cancel


@dataclass(frozen=True, eq=False, repr=False)
class Neighbors:
    """The nearest rows of each query, nearest first: int64 `[Q,k]`, and their distances float32 `[Q,k]`.

    Where there are fewer than k rows, the last places hold -1 and an infinite distance.

    >>> Neighbors(np.array([[3]]), np.array([[0.5]])).rows.shape
    (1, 1)
    """

    rows: np.ndarray
    distances: np.ndarray

    def share(self, alike: np.ndarray) -> np.ndarray:
        """Return the share of neighbors for which `alike` `[Q,k]` holds, float64 `[Q]`; NaN where there are none."""
        known = self.rows >= 0
        with np.errstate(invalid="ignore"):
            return (alike & known).sum(1) / known.sum(1)


def find_neighbors(
    queries: Array, features: Array, count: int = 10, *, metric: Metric = "cosine", own: Array | None = None
) -> Neighbors:
    """Find the `count` nearest rows of features `[N,D]` for each query `[Q,D]`, exactly and in bounded memory.

    `metric` is "cosine" (one minus the cosine, 0 to 2) or "l2" (the Euclidean distance). `own` int64 `[Q]` is the
    row of each query among the features, which is left out (-1 for none): with `own=np.arange(N)` a set is searched
    within itself. Both may be memory-mapped; no more than a few MiB of pairs are held. A row of zeros has cosine 0 to
    all. Raises InputError for other shapes and metrics.

    >>> find_neighbors(np.array([[1.0, 0.1]]), np.array([[0.0, 1.0], [2.0, 0.0]]), 1).rows.tolist()
    [[1]]
    """
    queries, features = read_matrix(queries, "queries"), read_matrix(features)
    if queries.shape[1] != features.shape[1]:
        raise InputError(f"queries of {queries.shape[1]} features", expected=f"{features.shape[1]}, as the rows have")
    if metric not in ("cosine", "l2"):
        raise InputError(f"metric {metric!r}", expected="cosine or l2")
    if count < 1:
        raise InputError(f"{count} neighbors", expected="at least 1")
    left_out = np.full(len(queries), -1) if own is None else as_array(own)
    place = _unit if metric == "cosine" else _around(features)
    found = Neighbors(np.full((len(queries), count), -1), np.full((len(queries), count), np.inf, np.float32))
    within = queries is features and metric == "cosine" and np.array_equal(left_out, np.arange(len(queries)))
    known = _candidates_within(features, place, count + _SPARE) if within else None
    for part in parts(len(queries), 1, _QUERIES):
        wanted = place(rows_of(queries, part))
        if known is None:
            rows = _candidates(wanted, features, place, count + _SPARE, metric, torch.from_numpy(left_out[part]))
        else:
            rows = known[part]
        distances, order = _distances(wanted, features, place, rows, metric).sort(dim=1, stable=True)
        kept = slice(0, min(count, rows.shape[1]))
        here = rows.gather(1, order)[:, kept]
        found.rows[part, kept] = torch.where(distances[:, kept].isinf(), -1, here).numpy()
        found.distances[part, kept] = distances[:, kept].numpy()
    return found


Place = Callable[[Tensor], Tensor]
"""Where rows `[n,D]` lie when they are compared."""


def _unit(rows: Tensor) -> Tensor:
    return torch.nn.functional.normalize(rows, dim=1)


def _around(features: Array) -> Place:
    """Move the origin among the rows: far from it, differences of squares cancel."""
    center = rows_of(features, slice(0, _QUERIES)).mean(0)
    return lambda rows: rows - center


def _candidates(wanted: Tensor, features: Array, place: Place, count: int, metric: Metric, own: Tensor) -> Tensor:
    """Find the rows `[Q,C]` with the largest cosine, or 2qx - |x|², which orders as the distance does; -1 for none."""
    best, places = torch.empty(len(wanted), 0), torch.empty(len(wanted), 0, dtype=torch.int64)
    for part in parts(len(features), max(len(wanted), features.shape[1]), _PAIRS):
        rows = place(rows_of(features, part))
        closeness = wanted @ rows.T
        if metric == "l2":
            closeness.mul_(2).sub_(rows.square().sum(1))
        inside = torch.nonzero((own >= part.start) & (own < part.stop))[:, 0]
        closeness[inside, own[inside] - part.start] = -torch.inf
        here, columns = closeness.topk(min(count, len(rows)), dim=1)
        both, where = torch.cat([best, here], 1), torch.cat([places, columns + part.start], 1)
        best, order = both.topk(min(count, both.shape[1]), dim=1)
        places = where.gather(1, order)
    return torch.where(best == -torch.inf, -1, places)


def _candidates_within(features: Array, place: Place, count: int) -> Tensor:
    """Find for every row the other rows `[N,C]` with the largest cosine, -1 for none: each pair is multiplied once."""
    total = len(features)
    best = torch.full((total, min(count, total)), -torch.inf)
    places = torch.full(best.shape, -1)

    def take(part: slice, closeness: Tensor, start: int) -> None:
        here, columns = closeness.topk(min(count, closeness.shape[1]), dim=1)
        both, where = torch.cat([best[part], here], 1), torch.cat([places[part], columns + start], 1)
        best[part], order = both.topk(best.shape[1], dim=1)
        places[part] = where.gather(1, order)

    blocks = list(parts(total, 1, _BLOCK))
    for number, first in enumerate(blocks):
        rows = place(rows_of(features, first))
        half = torch.zeros(len(rows), len(rows))
        add_products(half, rows.T)
        half.tril_(-1)
        closeness = (half + half.T).fill_diagonal_(-torch.inf)
        take(first, closeness, first.start)
        for second in blocks[number + 1 :]:
            closeness = rows @ place(rows_of(features, second)).T
            take(first, closeness, second.start)
            take(second, closeness.T, first.start)
    return torch.where(best == -torch.inf, -1, places)


def _distances(wanted: Tensor, features: Array, place: Place, rows: Tensor, metric: Metric) -> Tensor:
    """Compute distances `[Q,C]` to the candidates from differences: equal rows are at exactly 0."""
    found = torch.empty(rows.shape)
    for part in parts(len(wanted), rows.shape[1] * wanted.shape[1], _CACHED):
        near = place(rows_of(features, rows[part].clamp(min=0).flatten().numpy())).view(*rows[part].shape, -1)
        squares = (near - wanted[part, None]).square_().sum(2)
        if metric == "l2":
            found[part] = squares.sqrt()
        else:
            zero = (near.abs().amax(2) == 0) | (wanted[part].abs().amax(1, keepdim=True) == 0)
            found[part] = torch.where(zero, 1.0, squares / 2)
    return torch.where(rows < 0, torch.inf, found)
