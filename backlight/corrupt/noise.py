"""Noise of sensors and wires: gaussian, shot, impulse, speckle."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from backlight.core.random import Random
from backlight.corrupt.severities import Constants

_LEVELS = 256
_POISSON_CELLS = 2**14


def gaussian_noise(images: Tensor, constants: Constants, random: Random) -> Tensor:
    """Add normal noise of standard deviation `constants[0]`."""
    return draw_normal(random, images.shape[1:]).mul_(constants[0]).add_(images)


def speckle_noise(images: Tensor, constants: Constants, random: Random) -> Tensor:
    """Add normal noise in proportion to each value."""
    return draw_normal(random, images.shape[1:]).mul_(constants[0]).mul_(images).add_(images)


def impulse_noise(images: Tensor, constants: Constants, random: Random) -> Tensor:
    """Make a share of all values black or white, half each."""
    drawn = random.words(*images.shape[1:], stream="impulse")
    half = round(constants[0] * 2**15)
    return images.masked_fill(drawn < half - 2**15, 0.0).masked_fill_(drawn >= 2**15 - half, 1.0)


def shot_noise(images: Tensor, constants: Constants, random: Random) -> Tensor:
    """Replace each value x by a count of photons, Poisson of mean x times `constants[0]`, over that number."""
    photons = constants[0]
    quantiles = _poisson_quantiles(photons)
    levels = (images * (_LEVELS - 1)).round().int()
    cells = random.words(*images.shape[1:], stream="shot").int().add_(2**15) // (2**16 // _POISSON_CELLS)
    places = levels.mul_(_POISSON_CELLS).add_(cells).flatten()
    return quantiles.index_select(0, places).view(images.shape).float() / photons


def draw_normal(random: Random, shape: torch.Size | tuple[int, ...], stream: str = "noise") -> Tensor:
    """Draw normal numbers `[A, *shape]` of 16 bits: the middle of each of 65,536 equally likely cells, variance 1.

    Four come from one hash: noise on a photograph takes as long as adding it. Values reach to 4.2.

    >>> draw_normal(Random(0, [7]), (3, 8, 8)).shape
    torch.Size([1, 3, 8, 8])
    """
    cells = random.words(*shape, stream=stream).int().add_(2**15)
    return _normal_quantiles().index_select(0, cells.flatten()).view(len(random), *shape)


@lru_cache(maxsize=1)
def _normal_quantiles() -> Tensor:
    from scipy.special import ndtri

    middles = ndtri((np.arange(2**16) + 0.5) / 2**16)
    return torch.from_numpy((middles / middles.std()).astype(np.float32))


@lru_cache(maxsize=6)
def _poisson_quantiles(photons: float) -> Tensor:
    """Return the count in the middle of equally likely cells for each of 256 levels, int16 `[256 * cells]`."""
    from scipy.stats import poisson

    middles = (np.arange(_POISSON_CELLS) + 0.5) / _POISSON_CELLS
    means = np.arange(_LEVELS) / (_LEVELS - 1) * photons
    most = int(photons + 8 * photons**0.5 + 20)
    below = poisson.cdf(np.arange(most), means[:, None])
    # How many cells lie below each count, so that the few counts are looked up among the many cells.
    cells = np.diff(np.searchsorted(middles, below, side="right"), axis=1, prepend=0, append=_POISSON_CELLS)
    counts = np.broadcast_to(np.arange(most + 1, dtype=np.int16), cells.shape)
    return torch.from_numpy(np.repeat(counts.ravel(), cells.ravel()))
