"""A picture's cosine waves, each made a little stronger or weaker (SSA)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from backlight.attack.transfer.views import by_matrices
from backlight.core.random import Random


@dataclass(frozen=True)
class Rescaled:
    """Add noise, multiply every cosine wave by its own factor (SSA, Long et al. 2022, arXiv:2207.05382).

    Noise is normal with standard deviation `deviation`; factors are uniform within `spread` of 1. Waves are those of
    the orthonormal DCT-II of the whole picture, whatever its size.

    >>> Rescaled()(torch.rand(2, 3, 20, 30), Random(0, [0, 1]), 0).shape
    torch.Size([2, 3, 20, 30])
    """

    spread: float = 0.5
    deviation: float = 16 / 255
    samples: int = 20

    def __call__(self, images: Tensor, random: Random, draw: int) -> Tensor:
        """Return the pictures with other waves."""
        shape, dtype = images.shape[1:], images.dtype
        down, across = (cosine_waves(side).to(images) for side in shape[1:])
        noisy = images + self.deviation * random.normal(*shape, stream=("noise", draw), dtype=dtype)
        factor = 1 + self.spread * (2 * random.uniform(*shape, stream=("factor", draw), dtype=dtype) - 1)
        return by_matrices(down.T, factor * by_matrices(down, noisy, across), across.T)


@lru_cache(maxsize=16)
def cosine_waves(count: int) -> Tensor:
    """Return the orthonormal DCT-II of `count` values as a matrix `[count,count]`, a wave in each row, float64.

    >>> waves = cosine_waves(5)
    >>> torch.allclose(waves @ waves.T, torch.eye(5, dtype=torch.float64))
    True
    """
    place, wave = torch.arange(count, dtype=torch.float64), torch.arange(count, dtype=torch.float64)[:, None]
    waves = math.sqrt(2 / count) * torch.cos(math.pi * (place + 0.5) * wave / count)
    waves[0] = 1 / math.sqrt(count)
    return waves
