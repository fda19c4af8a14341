"""How noisy a picture is, and how much smoothing that calls for."""

from __future__ import annotations

import torch
from torch import Tensor

from backlight.core.errors import InputError

_MEDIAN_OF_NORMAL = 0.6745
# The alpha of the highest PSNR on photographs with normal noise is about a * sigma**b; fitted to 256 x 256 crops of
# scikit-image's camera, cat and astronaut at sigma 0.05, 0.1 and 0.2.
FITTED = {("l1", "l1"): (1.42, 0.34), ("l2", "l1"): (2.1, 1.16), ("l1", "l2"): (25.0, 0.66), ("l2", "l2"): (19.0, 1.24)}


def estimate_sigma(images: Tensor) -> Tensor:
    """Estimate the standard deviation of each picture's noise from its finest diagonal details: `[A]`.

    Photographs have few of those, noise has as many as of any (Donoho and Johnstone 1994).

    Raises InputError for pictures below 2 x 2.

    >>> estimate_sigma(torch.full((1, 1, 8, 8), 0.5))
    tensor([0.])
    """
    if min(images.shape[2:]) < 2:
        raise InputError(f"pictures of {list(images.shape[2:])}", expected="at least 2 x 2")
    even = images[..., : images.shape[2] // 2 * 2, : images.shape[3] // 2 * 2]
    diagonal = (even[..., ::2, ::2] - even[..., 1::2, ::2] - even[..., ::2, 1::2] + even[..., 1::2, 1::2]) / 2
    return diagonal.abs().flatten(1).median(1).values / _MEDIAN_OF_NORMAL


def automatic_alpha(images: Tensor, *, data_norm: str = "l1", smooth_norm: str = "l1") -> Tensor:
    """Choose alpha for each picture `[A]` from its estimated noise: 0 where there is none.

    >>> automatic_alpha(torch.full((1, 1, 8, 8), 0.5))
    tensor([0.])
    """
    factor, power = FITTED[data_norm, smooth_norm]
    sigma = estimate_sigma(images)
    return torch.where(sigma > 0, factor * sigma**power, 0.0)
