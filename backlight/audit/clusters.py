"""Groups of pictures with like features: principal components and k-means, keyed, on a sample of bounded size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from backlight.audit.arrays import Array, Ids, keyed, parts, read_matrix, rows_of
from backlight.core.random import Random, Seed

MOST_ROWS = 20_000
"""Components and centers are fitted on at most so many rows, chosen by key; every row is assigned."""

_SPARE, _POWERS, _LLOYD = 8, 4, 25


@dataclass(frozen=True, eq=False, repr=False)
class Clusters:
    """Where rows of features belong: the cluster of each, int64 `[N]`, of 0 .. count - 1.

    >>> Clusters(np.array([0, 1, 1]), 2).count
    2
    """

    numbers: np.ndarray
    count: int


def cluster(
    features: Array,
    fitted_on: np.ndarray | None = None,
    *,
    count: int | None = None,
    components: int = 32,
    ids: Ids = None,
    seed: Seed = 0,
) -> Clusters:
    """Sort features `[N,D]` into clusters by k-means on their principal components.

    `fitted_on` are the rows that components and centers come from, all if left out; `count` clusters, left out the
    root of half of these rows (Mardia, Kent and Bibby 1979). Centers start far from one another (k-means++, Arthur and
    Vassilvitskii 2007) and are keyed by ids, so the order of rows does not matter.

    >>> features = np.array([[0.0, 0.0], [0.1, 0.0], [9.0, 9.0], [9.1, 9.0]])
    >>> found = cluster(features, count=2).numbers
    >>> bool(found[0] == found[1] != found[2] == found[3])
    True
    """
    features = read_matrix(features)
    rows = np.arange(len(features)) if fitted_on is None else fitted_on
    random = keyed(("clusters", seed), ids, len(features))
    if len(rows) > MOST_ROWS:
        keys = random.uniform(stream="sample").numpy()[rows]
        rows = np.sort(rows[np.argpartition(keys, MOST_ROWS)[:MOST_ROWS]])
    known = rows_of(features, rows)
    mean, axes = principal_axes(known, min(components, *known.shape))
    points = (known - mean) @ axes
    count = max(1, round((len(rows) / 2) ** 0.5)) if count is None else count
    centers = k_means(points, min(count, len(points)), random.take(torch.from_numpy(rows)))
    numbers = np.empty(len(features), np.int64)
    for part in parts(len(features), features.shape[1]):
        numbers[part] = _closest((rows_of(features, part) - mean) @ axes, centers).numpy()
    return Clusters(numbers, len(centers))


def principal_axes(points: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Find the mean `[D]` and the `count` directions `[D,count]` of largest variance of points `[N,D]`.

    By subspace iteration from keyed random directions (Halko, Martinsson and Tropp 2011, arXiv:0909.4061).

    >>> mean, axes = principal_axes(torch.tensor([[0.0, 1.0], [4.0, 1.0]]), 1)
    >>> mean.tolist(), axes.abs().round().flatten().tolist()
    ([2.0, 1.0], [1.0, 0.0])
    """
    mean = points.mean(0)
    centered = points - mean
    width = min(count + _SPARE, *points.shape)
    basis = Random("principal axes", torch.arange(points.shape[1])).normal(width)
    for _ in range(_POWERS):
        basis = torch.linalg.qr(centered.T @ (centered @ basis))[0]
    turned = torch.linalg.svd(centered @ basis, full_matrices=False)[2]
    return mean, basis @ turned.T[:, :count]


def k_means(points: Tensor, count: int, random: Random) -> Tensor:
    """Find centers `[K,D]` of points `[N,D]`, at most `count`: fewer where points coincide.

    >>> k_means(torch.tensor([[0.0], [0.0], [2.0]]), 3, Random(0, [0, 1, 2])).shape
    torch.Size([2, 1])
    """
    centers = _spread(points, count, random)
    for _ in range(_LLOYD):
        nearest = _closest(points, centers)
        sizes = torch.bincount(nearest, minlength=len(centers))
        sums = torch.zeros_like(centers).index_add_(0, nearest, points)
        moved = torch.where(sizes[:, None] > 0, sums / sizes[:, None].clamp(min=1), centers)
        if torch.equal(moved, centers):
            break
        centers = moved
    return centers


def _spread(points: Tensor, count: int, random: Random) -> Tensor:
    """Choose centers among the points, each with a chance in proportion to its squared distance to those before."""
    chosen = [int(random.uniform(stream="first").argmax())]
    distance = (points - points[chosen[0]]).square().sum(1)
    for step in range(1, count):
        if float(distance.max()) <= 1e-12:
            break
        # The largest of log-weights plus Gumbel noise is a draw by weight, and one that no order of rows changes.
        uniform = random.uniform(stream=("center", step), dtype=torch.float64).clamp(min=1e-300)
        chosen.append(int((distance.double().log() - (-uniform.log()).log()).argmax()))
        distance = torch.minimum(distance, (points - points[chosen[-1]]).square().sum(1))
    return points[chosen].clone()


def _closest(points: Tensor, centers: Tensor) -> Tensor:
    found = [
        (centers.square().sum(1) - 2 * points[part] @ centers.T).argmin(1) for part in parts(len(points), len(centers))
    ]
    return torch.cat(found) if found else torch.zeros(0, dtype=torch.int64)
