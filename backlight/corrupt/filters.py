"""Linear filters of pictures: any kernel, one for all or one for each picture."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from backlight.images.blur import Edges, fold


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
