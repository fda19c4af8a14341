"""Pictures that the tests of corruptions share."""

from __future__ import annotations

import numpy as np
import torch
from skimage import data
from torch import Tensor


def pattern() -> Tensor:
    """Return the picture of the published vectors, [1,3,64,64]: R = 4x, G = 4y, B = 3x + 5y, all mod 256."""
    y, x = torch.arange(64)[:, None].expand(64, 64), torch.arange(64).expand(64, 64)
    return torch.stack([4 * x, 4 * y, 3 * x + 5 * y]).remainder(256)[None] / 255


def photographs(count: int = 4, side: int = 224) -> Tensor:
    """Return square parts of photographs, [count,3,side,side]."""
    whole = [data.astronaut(), data.chelsea(), data.coffee(), data.rocket()]
    parts = [one[40 : 40 + side, 60 : 60 + side] for one in whole]
    return torch.from_numpy(np.stack(parts[:count])).permute(0, 3, 1, 2).float() / 255


def bytes_of(images: Tensor) -> np.ndarray:
    """Return [A,H,W,C] of 0 to 255."""
    return (images * 255).round().byte().permute(0, 2, 3, 1).numpy()
