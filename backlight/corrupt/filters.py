"""Linear filters of pictures: Gaussian blur of any width, and any kernel, one for all or one for each picture."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

Edges = str
"""How pictures go on beyond their edges: `replicate` repeats the last pixel, `reflect` mirrors behind it (the last
pixel once, as OpenCV's reflect-101), `symmetric` mirrors with it (twice, as scipy's `reflect`)."""


def blur(images: Tensor, sigma: float, edges: Edges = "replicate", truncate: float = 4.0) -> Tensor:
    """Blur pictures `[A,C,H,W]` by a Gaussian of `sigma` pixels, cut off at `truncate` of them.

    Each direction is one product with a banded matrix that knows the edges, so the cost does not depend on `sigma`.
    The same as `scipy.ndimage.gaussian_filter` with mode `nearest` (`replicate`), `mirror` or `reflect`.

    >>> blur(torch.ones(1, 1, 4, 4), 2.0).allclose(torch.ones(1, 1, 4, 4))
    True
    """
    if sigma <= 0:
        return images
    height, width = images.shape[2:]
    down = _blur_matrix(height, sigma, edges, truncate).to(images)
    across = _blur_matrix(width, sigma, edges, truncate).to(images)
    return down @ images @ across.T


@lru_cache(maxsize=64)
def _blur_matrix(count: int, sigma: float, edges: Edges, truncate: float) -> Tensor:
    radius = int(truncate * sigma + 0.5)
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float64)
    weights = torch.exp(-0.5 * (offsets / sigma) ** 2)
    weights = weights / weights.sum()
    rows = torch.arange(count)[:, None]
    places = fold(rows + torch.arange(-radius, radius + 1), count, edges)
    matrix = torch.zeros(count, count, dtype=torch.float64)
    return matrix.scatter_add_(1, places, weights.expand(count, -1)).float()


def fold(places: Tensor, count: int, edges: Edges) -> Tensor:
    """Bring places outside of 0 .. count - 1 back inside, as the rule for edges says.

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


def pad(images: Tensor, reach: int, edges: Edges) -> Tensor:
    """Let pictures `[A,C,H,W]` go on for `reach` pixels beyond every edge.

    >>> pad(torch.tensor([[[[1.0, 2.0]]]]), 1, "reflect").shape
    torch.Size([1, 1, 3, 4])
    """
    rows, columns = (fold(torch.arange(-reach, side + reach), side, edges) for side in images.shape[2:])
    return images.index_select(2, rows).index_select(3, columns)


def filter_pictures(images: Tensor, kernels: Tensor, edges: Edges = "replicate") -> Tensor:
    """Correlate pictures `[A,C,H,W]` with kernels `[k,k]` (one for all) or `[A,k,k]`, k odd, by Fourier transforms.

    >>> kernel = torch.zeros(3, 3); kernel[1, 2] = 1
    >>> filter_pictures(torch.arange(3.0).view(1, 1, 1, 3), kernel)
    tensor([[[[1., 2., 2.]]]])
    """
    height, width = images.shape[2:]
    reach = kernels.shape[-1] // 2
    padded = pad(images, reach, edges)
    if kernels.ndim == 2 and kernels.shape[-1] <= _DIRECT:
        return _add_shifted(padded, kernels.tolist(), height, width)
    size = (_fast_size(height + 2 * reach), _fast_size(width + 2 * reach))
    spectrum = torch.fft.rfft2(padded, s=size)
    kernel = torch.fft.rfft2(kernels.to(images), s=size).conj()
    kernel = kernel[:, None] if kernels.ndim == 3 else kernel
    return torch.fft.irfft2(spectrum * kernel, s=size)[..., :height, :width]


def _add_shifted(padded: Tensor, kernel: list[list[float]], height: int, width: int) -> Tensor:
    total = torch.zeros_like(padded[:, :, :height, :width])
    for top, row in enumerate(kernel):
        for left, weight in enumerate(row):
            if weight:
                total.add_(padded[:, :, top : top + height, left : left + width], alpha=weight)
    return total


_DIRECT = 5  # kernels up to so wide are cheaper point by point


@lru_cache(maxsize=256)
def _fast_size(count: int) -> int:
    """Return the next size that has no prime factors but 2, 3 and 5."""
    size = count
    while True:
        left = size
        for factor in (2, 3, 5):
            while left % factor == 0:
                left //= factor
        if left == 1:
            return size
        size += 1
