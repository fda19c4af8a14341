"""Concepts of a class: parts that its crops are sums of, and how much each of them speaks for the class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from backlight.audit.arrays import Array, as_array, read_matrix, rows_of
from backlight.core.errors import InputError
from backlight.core.random import Random, Seed

_STEPS, _SMALL = 200, 1e-12
_NEGATIVE = 0.05  # of what features hold: more of it below 0, and they are no sums of parts


@dataclass(frozen=True, eq=False, repr=False)
class Concepts:
    """Parts of features, largest importance first.

    parts       float32 `[C,D]`, what each concept adds to the features, of length 1
    amounts     float32 `[N,C]`, how much of each concept is in each row
    importance  float64 `[C]`, the share of the variance of the class's logit that each concept makes (Sobol's total
                index where concepts are switched on and off at random); they sum to 1
    toward      float64 `[C]`, what each concept adds to the class's logit on average
    error       how much of the features the parts leave out, 0 to 1

    >>> Concepts(np.eye(2), np.eye(2), np.array([0.5, 0.5]), np.zeros(2), 0.0).importance.sum()
    np.float64(1.0)
    """

    parts: np.ndarray
    amounts: np.ndarray
    importance: np.ndarray
    toward: np.ndarray
    error: float


def find_concepts(features: Array, weight: Array, *, count: int = 10, seed: Seed = 0) -> Concepts:
    """Write features `[N,D]` of crops of one class's pictures as sums of concepts, and weigh them by the last layer.

    Features from 0 are factored into non-negative amounts and parts (Lee and Seung 1999), as CRAFT does (Fel et al.
    2023, arXiv:2211.10154). `weight` `[D]` is the class's row of a linear last layer. For such a layer the total index
    of Sobol, which CRAFT estimates by sampling, has a closed form: a concept's squared share of the logit.

    Raises InputError for features of which more than a twentieth lies below 0, and arrays that do not fit.

    >>> crops = np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    >>> find_concepts(crops, np.array([1.0, 0.0]), count=2).importance.round(2).tolist()
    [1.0, 0.0]
    """
    rows = rows_of(read_matrix(features), slice(None))
    direction = torch.from_numpy(as_array(weight).astype(np.float32))
    if direction.shape != rows.shape[1:]:
        raise InputError(f"a weight of shape {list(direction.shape)}", expected=f"[{rows.shape[1]}]")
    below = float((-rows.clamp(max=0)).sum() / rows.abs().sum().clamp(min=_SMALL))
    if below > _NEGATIVE:
        raise InputError(f"features of which {below:.0%} lies below 0", expected="those behind a ReLU or the like")
    amounts, found = factor(rows.clamp(min=0), min(count, *rows.shape), seed=seed)
    left = float((rows - amounts @ found).square().sum() / rows.square().sum().clamp(min=_SMALL))
    added = (amounts * (found @ direction)).double()
    shares = added.square().sum(0)
    shares /= shares.sum().clamp(min=_SMALL)
    order = torch.argsort(-shares, stable=True)
    return Concepts(
        parts=found[order].numpy(),
        amounts=amounts[:, order].numpy(),
        importance=shares[order].numpy(),
        toward=added.mean(0)[order].numpy(),
        error=left,
    )


def factor(matrix: Tensor, count: int, *, seed: Seed = 0) -> tuple[Tensor, Tensor]:
    """Factor a matrix `[N,D]` from 0 into amounts `[N,C]` and parts `[C,D]` from 0, parts of length 1.

    By hierarchical alternating least squares (Cichocki and Phan 2009), from keyed rows of the matrix on.

    >>> amounts, parts = factor(torch.tensor([[1.0, 0.0], [0.0, 2.0]]), 2)
    >>> (amounts @ parts).round(decimals=2).tolist()
    [[1.0, 0.0], [0.0, 2.0]]
    """
    parts_ = _start(matrix, count, seed)
    amounts = (matrix @ parts_.T).clamp(min=0)
    for _ in range(_STEPS):
        _improve(amounts, matrix @ parts_.T, parts_ @ parts_.T)
        _improve(parts_.T, matrix.T @ amounts, amounts.T @ amounts)
        lengths = parts_.norm(dim=1, keepdim=True).clamp(min=_SMALL)
        parts_ /= lengths
        amounts *= lengths.T
    return amounts, parts_


def _improve(factors: Tensor, products: Tensor, gram: Tensor) -> None:
    """Set each column of `factors` to its best value from 0 while the others stay, in place."""
    for column in range(factors.shape[1]):
        curvature = gram[column, column]
        if curvature > _SMALL:
            step = (products[:, column] - factors @ gram[:, column]) / curvature
            factors[:, column] = (factors[:, column] + step).clamp(min=0)


def _start(matrix: Tensor, count: int, seed: Seed) -> Tensor:
    """Choose rows far from the span of those before, and add a little to each, so that no zero is forever."""
    left, chosen = matrix.clone(), []
    for _ in range(count):
        row = int(left.square().sum(1).argmax())
        chosen.append(row)
        direction = torch.nn.functional.normalize(left[row], dim=0)
        left -= torch.outer(left @ direction, direction)
    found = matrix[chosen].clone()
    noise = Random(("concepts", seed), torch.arange(count)).uniform(matrix.shape[1])
    found += noise * matrix.mean().clamp(min=_SMALL) * 0.01
    return torch.nn.functional.normalize(found, dim=1)
