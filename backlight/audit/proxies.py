"""Unknown pictures made of known ones, where nobody has real ones: noise, shuffled patches, random phases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from backlight.core.plugins import Registry
from backlight.core.random import Random

Change = Callable[[Tensor, Random], Tensor]
"""From pictures `[A,C,H,W]` in [0,1] and keyed random numbers to others of the same shape."""

GRID = 8


@dataclass(frozen=True)
class ProxyCard:
    """One kind of unknown picture: how it is made of known ones, and what it stands for.

    >>> PROXIES["uniform_noise"].title
    'uniform noise'
    """

    name: str
    function: Change
    title: str
    reference: str = ""


def uniform_noise(images: Tensor, random: Random) -> Tensor:
    """Draw each value from [0, 1).

    >>> uniform_noise(torch.zeros(1, 3, 4, 4), Random(0, [0])).shape
    torch.Size([1, 3, 4, 4])
    """
    return random.uniform(*images.shape[1:], stream="uniform noise").to(images)


def gaussian_noise(images: Tensor, random: Random) -> Tensor:
    """Draw each value around 0.5 with deviation 0.25, clipped to [0, 1].

    >>> bool((gaussian_noise(torch.zeros(1, 3, 4, 4), Random(0, [0])) <= 1).all())
    True
    """
    return (0.5 + 0.25 * random.normal(*images.shape[1:], stream="gaussian noise").to(images)).clamp(0, 1)


def shuffle_patches(images: Tensor, random: Random, grid: int = GRID) -> Tensor:
    """Shuffle the patches of a grid of `grid` x `grid`; rows and columns that do not fill a patch stay in place.

    >>> images = torch.arange(16.0).view(1, 1, 4, 4) / 16
    >>> bool((shuffle_patches(images, Random(0, [0]), 2).sort().values.sum() == images.sum()))
    True
    """
    count, channels, height, width = images.shape
    rows, columns = min(grid, height), min(grid, width)
    high, wide = height // rows, width // columns
    inner = images[:, :, : rows * high, : columns * wide]
    patches = inner.reshape(count, channels, rows, high, columns, wide).permute(0, 2, 4, 1, 3, 5).flatten(1, 2)
    order = random.uniform(rows * columns, stream="patches", dtype=torch.float64).argsort(1).to(images.device)
    mixed = patches[torch.arange(count, device=images.device)[:, None], order]
    result = images.clone()
    back = mixed.view(count, rows, columns, channels, high, wide).permute(0, 3, 1, 4, 2, 5)
    result[:, :, : rows * high, : columns * wide] = back.reshape(inner.shape)
    return result


def randomize_phases(images: Tensor, random: Random) -> Tensor:
    """Keep how strong each frequency is and draw where it lies, for all channels alike; clipped to [0, 1].

    >>> images = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    >>> moved = randomize_phases(images, Random(0, [0]))
    >>> bool((moved - images).abs().max() > 0.1)
    True
    """
    spectrum = torch.fft.fft2(images.double())
    noise = torch.fft.fft2(random.normal(1, *images.shape[2:], stream="phases", dtype=torch.float64).to(images.device))
    turn = noise / noise.abs().clamp(min=1e-12)
    turn[:, :, 0, 0] = 1  # the mean stays
    return torch.fft.ifft2(spectrum * turn).real.clamp(0, 1).to(images)


PROXIES = Registry(
    "proxies",
    "kind of unknown picture",
    (
        ProxyCard("uniform_noise", uniform_noise, "uniform noise"),
        ProxyCard("gaussian_noise", gaussian_noise, "Gaussian noise"),
        ProxyCard("shuffled_patches", shuffle_patches, "shuffled patches"),
        ProxyCard("random_phases", randomize_phases, "random phases", "Oppenheim and Lim, 1981, Proc. IEEE 69"),
    ),
    ProxyCard,
    wrap=lambda name, function: ProxyCard(name, function, name.replace("_", " ")),
)
