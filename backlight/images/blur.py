"""Gaussian blur of pictures, of any width, and how pictures go on beyond their edges."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import torch
from torch import Tensor

Edges = str
"""How pictures go on beyond their edges: `replicate` repeats the last pixel, `reflect` mirrors behind it (the last
pixel once, as OpenCV's reflect-101), `symmetric` mirrors with it (twice, as scipy's `reflect`)."""


def gaussian_blur(images: Tensor, sigma: float, edges: Edges = "symmetric", truncate: float = 4.0) -> Tensor:
    """Blur pictures `[A,C,H,W]` by a Gaussian of `sigma` pixels, cut off at `truncate` of them.

    The same as `scipy.ndimage.gaussian_filter` with mode `reflect` (`symmetric`), `nearest` (`replicate`) or `mirror`
    (`reflect`); sigma 0 changes nothing. Each direction is one product with a banded matrix that knows the edges, so
    the cost depends little on `sigma`.

    >>> gaussian_blur(torch.ones(1, 1, 4, 4), 0.5).sum()
    tensor(16.)
    """
    if sigma <= 0:
        return images
    height, width = images.shape[2:]
    # Expanded, so that each channel of each picture is a product of its own whatever the batch.
    down = _matrix(height, sigma, edges, truncate).to(images).expand(*images.shape[:2], -1, -1)
    across = _matrix(width, sigma, edges, truncate).T.to(images).expand(*images.shape[:2], -1, -1)
    radius = _radius(sigma, truncate)
    rows = [down[..., to, near] @ images[..., near, :] for to, near in _bands(height, radius)]
    lower = torch.cat(rows, 2)
    return torch.cat([lower[..., near] @ across[..., near, to] for to, near in _bands(width, radius)], 3)


_BAND = 56


def _bands(count: int, radius: int) -> Iterator[tuple[slice, slice]]:
    """Cut places into bands, each with the places that reach it: most of a banded matrix is zeros."""
    for start in range(0, count, _BAND):
        yield slice(start, start + _BAND), slice(max(0, start - radius), start + _BAND + radius)


def _radius(sigma: float, truncate: float) -> int:
    return int(truncate * sigma + 0.5)


@lru_cache(maxsize=64)
def _matrix(count: int, sigma: float, edges: Edges, truncate: float) -> Tensor:
    radius = _radius(sigma, truncate)
    offsets = torch.arange(-radius, radius + 1)
    weights = torch.exp(-0.5 * (offsets.double() / sigma) ** 2)
    places = fold(torch.arange(count)[:, None] + offsets, count, edges)
    matrix = torch.zeros(count, count, dtype=torch.float64)
    return matrix.scatter_add_(1, places, (weights / weights.sum()).expand(count, -1))


def fold(places: Tensor, count: int, edges: Edges) -> Tensor:
    """Bring places outside of 0 .. count - 1 back inside, as the rule for edges has it.

    >>> fold(torch.tensor([-2, 5]), 5, "reflect").tolist(), fold(torch.tensor([-2, 5]), 5, "symmetric").tolist()
    ([2, 3], [1, 4])
    """
    if edges == "replicate" or count == 1:
        return places.clamp(0, count - 1)
    if edges == "symmetric":
        turned = places.remainder(2 * count)
        return torch.minimum(turned, 2 * count - 1 - turned)
    turned = places.remainder(2 * count - 2)
    return torch.minimum(turned, 2 * count - 2 - turned)
