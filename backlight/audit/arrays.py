"""What analyses on arrays are given: probabilities, labels and features, of NumPy or torch, checked once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from backlight.core.errors import InputError
from backlight.core.random import Random, Seed

Array = np.ndarray | Tensor
"""What every analysis takes; memory-mapped features are read a part at a time."""

Ids = Sequence[str] | Sequence[int] | None
"""The names by which random numbers are keyed; None for the rows' numbers."""

_COLUMNS = 256  # of a product that is symmetric at once: the squares on its diagonal are computed in full
_SUM_TOLERANCE = 1e-2  # float16 probabilities of a thousand classes miss 1 by this much


def as_array(values: Any) -> np.ndarray:
    """Return values as a NumPy array, of float32 where torch or NumPy had a narrower float.

    >>> as_array(torch.ones(2, dtype=torch.bfloat16)).dtype
    dtype('float32')
    """
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = (values.float() if values.dtype in (torch.bfloat16, torch.float16) else values).numpy()
    found = np.asarray(values)
    return found.astype(np.float32) if found.dtype == np.float16 else found


def read_probabilities(values: Array) -> np.ndarray:
    """Return probabilities `[N,K]` as floats; raises InputError for what are none.

    >>> read_probabilities(np.array([[0.5, 0.6]]))
    Traceback (most recent call last):
    ...
    backlight.core.errors.InputError: probabilities of row 0 sum to 1.1; expected 1, as a softmax gives
    """
    found = as_array(values)
    if found.ndim != 2 or not np.issubdtype(found.dtype, np.floating) or not found.size:
        raise InputError(f"probabilities are {found.dtype} {list(found.shape)}", expected="floats [N,K]")
    sums = found.sum(1, dtype=np.float64)
    wrong = ~(np.abs(sums - 1) <= _SUM_TOLERANCE)
    if wrong.any():
        row = int(wrong.argmax())
        raise InputError(f"probabilities of row {row} sum to {sums[row]:.4g}", expected="1, as a softmax gives")
    if found.min() < 0:
        raise InputError(f"the least probability is {found.min():.4g}", expected="none below 0")
    return found


def read_labels(values: Array, count: int, classes: int | None = None) -> np.ndarray:
    """Return labels int64 `[count]`, each of 0 .. classes - 1; raises InputError for what are none.

    >>> read_labels(np.array([0, 3]), 2, 3)
    Traceback (most recent call last):
    ...
    backlight.core.errors.InputError: labels from 0 to 3; expected 0 to 2
    """
    found = as_array(values)
    if found.shape != (count,) or not (np.issubdtype(found.dtype, np.integer)):
        raise InputError(f"labels are {found.dtype} {list(found.shape)}", expected=f"whole numbers [{count}]")
    if count and (found.min() < 0 or (classes is not None and found.max() >= classes)):
        end = "and above" if classes is None else f"to {classes - 1}"
        raise InputError(f"labels from {found.min()} to {found.max()}", expected=f"0 {end}")
    return found.astype(np.int64, copy=False)


def read_matrix(values: Array, name: str = "features") -> Array:
    """Return a matrix of floats `[N,D]` as it is, without reading it; raises InputError for other shapes.

    >>> read_matrix(np.zeros((3, 2), np.float16)).shape
    (3, 2)
    """
    if not isinstance(values, Tensor):
        values = np.asanyarray(values)
    if values.ndim != 2 or not values.shape[1]:
        raise InputError(f"{name} of shape {list(values.shape)}", expected="[N,D], D above 0")
    return values


def rows_of(values: Array, rows: np.ndarray | slice) -> Tensor:
    """Read some rows of a matrix into memory as float32, whatever it is kept as.

    >>> rows_of(np.ones((3, 2), np.float16), slice(0, 2)).dtype
    torch.float32
    """
    if isinstance(values, Tensor):
        part = values[torch.from_numpy(rows) if isinstance(rows, np.ndarray) else rows]
        return part.detach().to("cpu", torch.float32)
    if values.dtype == np.float16:  # NumPy converts it one number at a time
        return torch.from_numpy(np.array(values[rows])).float()
    return torch.from_numpy(np.array(values[rows], dtype=np.float32))


def parts(count: int, width: int, most: int = 2**22) -> Iterator[slice]:
    """Yield slices that cover `count` rows of `width` numbers, at most `most` numbers in each.

    >>> list(parts(5, 2, most=4))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    step = max(1, most // max(1, width))
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))


def add_products(sums: Tensor, rows: Tensor) -> None:
    """Add the products of the columns of rows `[N,D]` to the lower half of sums `[D,D]`: what lies above is not sums.

    Products are symmetric, so half of the work is enough for what reads the lower half, as Cholesky's factor and
    eigenvectors do.

    >>> sums = torch.zeros(2, 2)
    >>> add_products(sums, torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    >>> sums.tril().tolist()
    [[10.0, 0.0], [14.0, 20.0]]
    """
    for start in range(0, len(sums), _COLUMNS):
        stop = start + _COLUMNS
        sums[start:stop, :stop].addmm_(rows[:, start:stop].T, rows[:, :stop])


def keyed(seed: Seed, ids: Ids, count: int) -> Random:
    """Return random numbers keyed by ids, or by the rows' numbers where there are none.

    >>> len(keyed(0, None, 3))
    3
    """
    if ids is not None and len(ids) != count:
        raise InputError(f"{len(ids)} ids for {count} rows", expected="one for each")
    return Random(seed, torch.arange(count) if ids is None else ids)


def bootstrap(
    statistic: Callable[[np.ndarray], np.ndarray], count: int, generator: np.random.Generator, draws: int = 200
) -> np.ndarray:
    """Compute a statistic of weights `[R,count]` that resample `count` things, R at a time: `[draws, ...]`.

    A weight says how often a thing is drawn, so a statistic is a product of matrices and memory is bounded.

    >>> means = bootstrap(lambda weights: weights @ np.array([0.0, 1.0]) / 2, 2, np.random.default_rng(0))
    >>> sorted(set(means.tolist()))
    [0.0, 0.5, 1.0]
    """
    at_once = max(1, 2**21 // max(1, count))
    found = []
    for start in range(0, draws, at_once):
        chosen = [generator.integers(0, count, count) for _ in range(min(at_once, draws - start))]
        found.append(statistic(np.stack([np.bincount(one, minlength=count) for one in chosen]).astype(np.float64)))
    return np.concatenate(found)


def interval_of(values: np.ndarray, confidence: float = 0.95) -> tuple[float, float]:
    """Return the ends between which this share of values lies, equally many beyond each.

    >>> [round(end) for end in interval_of(np.arange(1001.0))]
    [25, 975]
    """
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
