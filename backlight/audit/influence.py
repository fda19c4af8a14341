"""Which training pictures taught the last layer an answer: TracIn on stored features, exact and in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from backlight.audit.arrays import Array, as_array, parts, read_labels, read_matrix, read_probabilities, rows_of
from backlight.core.errors import InputError

_PAIRS = 2**23


@dataclass(frozen=True, eq=False, repr=False)
class Influence:
    """The training rows that speak most for each answer and most against it: int64 `[Q,k]`, and by how much.

    `helpful` lowered the loss of the query's label the most, `harmful` raised it the most; amounts are float32
    `[Q,k]`, largest first, and smallest first. Where there are fewer than k rows, the last places hold -1 and 0.

    >>> empty = np.zeros((0, 5))
    >>> Influence(empty, empty, empty, empty).helpful.shape
    (0, 5)
    """

    helpful: np.ndarray
    helped: np.ndarray
    harmful: np.ndarray
    harmed: np.ndarray


def last_layer_influence(
    features: Array,
    probabilities: Array,
    labels: Array,
    train_features: Array,
    train_probabilities: Array,
    train_labels: Array,
    *,
    count: int = 5,
    bias: bool = False,
    own: Array | None = None,
) -> Influence:
    """Find the training pictures that moved the last layer most towards and away from some labels.

    The influence of training picture i on query t is the scalar product of their gradients of cross-entropy by the
    last layer's weight, (p_t - y_t)(p_i - y_i) f_t f_i: with one checkpoint and learning rate 1, TracIn of that layer
    is exactly this (Pruthi et al. 2020, arXiv:2002.08484). With `bias` its bias counts as well: f_t f_i + 1.

    `features` `[Q,D]`, `probabilities` `[Q,K]` and `labels` `[Q]` are of the queries, the others of N training
    pictures. `own` int64 `[Q]` is the row of each query among the training pictures, which is left out (-1 for none).
    Raises InputError for arrays that do not fit one another.

    >>> f, p = np.eye(2), np.array([[0.5, 0.5], [0.5, 0.5]])
    >>> found = last_layer_influence(f[:1], p[:1], np.array([0]), f, p, np.array([0, 1]), count=1)
    >>> found.helpful.tolist(), found.helped.tolist()
    ([[0]], [[0.5]])
    """
    wanted = _gradients(features, probabilities, labels)
    known = _gradients(train_features, train_probabilities, train_labels)
    if wanted.widths != known.widths:
        raise InputError(
            f"queries of {wanted.widths[0]} features and {wanted.widths[1]} classes",
            expected=f"{known.widths[0]} and {known.widths[1]}, as the training pictures have",
        )
    left_out = torch.full((len(wanted.errors),), -1) if own is None else torch.from_numpy(as_array(own))
    helpful, helped = _largest(wanted, known, left_out, 1, count, bias)
    harmful, harmed = _largest(wanted, known, left_out, -1, count, bias)
    return Influence(helpful, helped, harmful, -harmed)


@dataclass(frozen=True, eq=False, repr=False)
class _Gradients:
    """Gradients by the last layer, as the outer products that they are: features `[N,D]` and errors `[N,K]`."""

    features: Array
    errors: np.ndarray

    @property
    def widths(self) -> tuple[int, int]:
        return self.features.shape[1], self.errors.shape[1]


def _gradients(features: Array, probabilities: Array, labels: Array) -> _Gradients:
    found = read_probabilities(probabilities)
    features = read_matrix(features)
    if len(features) != len(found):
        raise InputError(f"{len(features)} rows of features", expected=f"{len(found)}, as of probabilities")
    errors = found.astype(np.float32)
    errors[np.arange(len(found)), read_labels(labels, *found.shape)] -= 1
    return _Gradients(features, errors)


def _largest(
    wanted: _Gradients, known: _Gradients, own: Tensor, sign: int, count: int, bias: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Find the rows with the largest influence times `sign` on each query, and these products: `[Q,k]` each."""
    places = np.full((len(own), count), -1)
    values = np.zeros((len(own), count), np.float32)
    width = max(*wanted.widths, *known.widths)
    for queries in parts(len(own), width, 2**20):
        vectors, errors = rows_of(wanted.features, queries), rows_of(wanted.errors, queries)
        best, rows = torch.empty(len(vectors), 0), torch.empty(len(vectors), 0, dtype=torch.int64)
        for part in parts(len(known.errors), max(len(vectors), width), _PAIRS):
            products = vectors @ rows_of(known.features, part).T + float(bias)
            products *= (errors * sign) @ rows_of(known.errors, part).T
            inside = torch.nonzero((own[queries] >= part.start) & (own[queries] < part.stop))[:, 0]
            products[inside, own[queries][inside] - part.start] = -torch.inf
            here, columns = products.topk(min(count, products.shape[1]), dim=1)
            both, where = torch.cat([best, here], 1), torch.cat([rows, columns + part.start], 1)
            best, order = both.topk(min(count, both.shape[1]), dim=1)
            rows = where.gather(1, order)
        is_there = best > -torch.inf
        places[queries, : best.shape[1]] = torch.where(is_there, rows, -1).numpy()
        values[queries, : best.shape[1]] = torch.where(is_there, best, 0.0).numpy()
    return places, values
