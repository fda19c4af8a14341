"""What denoising minimizes."""

from __future__ import annotations

import torch
from torch import Tensor

from backlight.core.errors import UsageError

NORMS = ("l1", "l2")


def loss(
    images: Tensor, noisy: Tensor, alpha: float | Tensor, *, data_norm: str = "l1", smooth_norm: str = "l1"
) -> Tensor:
    """Sum |I - J| + alpha (|dJ/dx| + |dJ/dy|) over each picture J `[A,C,H,W]`: `[A]`.

    I is the noisy picture; "l1" sums absolute values, "l2" squares. Differences stop at the edges. `alpha` is a
    number or one per picture `[A]`.

    Raises UsageError for other norms.

    >>> loss(torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2), 1.0)
    tensor([4.])
    """
    check_norms(data_norm, smooth_norm)
    smooth = _size(images.diff(dim=2), smooth_norm) + _size(images.diff(dim=3), smooth_norm)
    return _size(images - noisy, data_norm) + alpha * smooth


def check_norms(data_norm: str, smooth_norm: str) -> None:
    """Raise UsageError unless both are known."""
    for name, norm in (("data_norm", data_norm), ("smooth_norm", smooth_norm)):
        if norm not in NORMS:
            raise UsageError(f"{name}={norm!r}", expected="l1 or l2")


def _size(difference: Tensor, norm: str) -> Tensor:
    magnitudes = difference.abs() if norm == "l1" else difference.square()
    # One sum per picture over the last axes: flatten would copy strided differences.
    return torch.sum(magnitudes, dim=(1, 2, 3))
