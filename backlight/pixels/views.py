"""Random views for robust pictures: pad, crop, scale and rotate without black borders, blur and noise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from backlight.core.errors import InputError
from backlight.core.random import Random
from backlight.images.blur import gaussian_blur


@dataclass(frozen=True)
class Pad:
    """Put `width` mirrored pixels around each picture; a later `Crop` brings the size back.

    Raises InputError for a negative width; it must also be below the picture's sides.

    >>> Pad(2)(torch.rand(1, 3, 8, 8), Random(0, [0]), 0).shape
    torch.Size([1, 3, 12, 12])
    """

    width: int
    samples: int = 1

    def __post_init__(self) -> None:
        if self.width < 0:
            raise InputError(f"a border of {self.width} pixels", expected="0 or more")

    def __call__(self, images: Tensor, random: Random, draw: int) -> Tensor:
        """Return the pictures with mirrored borders."""
        return F.pad(images, [self.width] * 4, mode="reflect")


@dataclass(frozen=True)
class Crop:
    """Cut a window of `size` (height, width) out of each picture, at a place of its own.

    Raises InputError where the window is larger than the picture.

    >>> Crop((6, 6))(torch.rand(2, 3, 8, 8), Random(0, [0, 1]), 0).shape
    torch.Size([2, 3, 6, 6])
    """

    size: tuple[int, int]
    samples: int = 1

    def __call__(self, images: Tensor, random: Random, draw: int) -> Tensor:
        """Return the windows."""
        channels, height, width = images.shape[1:]
        high, wide = self.size
        if high > height or wide > width:
            raise InputError(f"a window of {self.size}", expected=f"at most {(height, width)}")
        top = random.integer(height - high + 1, 1, stream=("top", draw))
        left = random.integer(width - wide + 1, 1, stream=("left", draw))
        down = (top + torch.arange(high, device=images.device))[:, None, :, None]
        across = (left + torch.arange(wide, device=images.device))[:, None, None, :]
        images = images.gather(2, down.expand(-1, channels, -1, width))
        return images.gather(3, across.expand(-1, channels, high, -1))


@dataclass(frozen=True)
class Warp:
    """Turn each picture by up to `degrees` and enlarge it by a factor within `scale`, about its center.

    The size stays; what comes in from outside is the mirrored picture, never black.

    Raises InputError for factors that are not positive.

    >>> Warp(10, (0.9, 1.1))(torch.rand(2, 3, 8, 9), Random(0, [0, 1]), 0).shape
    torch.Size([2, 3, 8, 9])
    """

    degrees: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    samples: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.scale[0] <= self.scale[1]:
            raise InputError(f"scale {self.scale}", expected="positive factors, the smaller first")

    def __call__(self, images: Tensor, random: Random, draw: int) -> Tensor:
        """Return the pictures, turned and scaled."""
        height, width = images.shape[2:]
        low, high = self.scale
        spin = 2 * random.uniform(1, 1, stream=("angle", draw), dtype=images.dtype) - 1
        angle = spin * math.radians(self.degrees)
        zoom = low + (high - low) * random.uniform(1, 1, stream=("scale", draw), dtype=images.dtype)
        y = ((torch.arange(height, device=images.device) + 0.5) - height / 2)[:, None].to(images.dtype)
        x = ((torch.arange(width, device=images.device) + 0.5) - width / 2)[None].to(images.dtype)
        across = (angle.cos() * x - angle.sin() * y) / zoom * (2 / width)
        down = (angle.sin() * x + angle.cos() * y) / zoom * (2 / height)
        places = torch.stack([across, down], dim=-1)
        return F.grid_sample(images, places, mode="bilinear", padding_mode="reflection", align_corners=False)


@dataclass(frozen=True)
class Blur:
    """Mix each picture with its blurred copy (a Gaussian of `sigma` pixels), by a share of its own.

    >>> Blur(1.0)(torch.ones(1, 3, 8, 8), Random(0, [0]), 0).shape
    torch.Size([1, 3, 8, 8])
    """

    sigma: float
    samples: int = 1

    def __call__(self, images: Tensor, random: Random, draw: int) -> Tensor:
        """Return mixtures of the pictures and their blurred copies, each with a share of its own."""
        share = random.uniform(1, 1, 1, stream=("blur", draw), dtype=images.dtype)
        return images + share * (gaussian_blur(images, self.sigma) - images)


@dataclass(frozen=True)
class Noise:
    """Add normal noise of a standard deviation in pixel units to each picture.

    >>> Noise(0.01)(torch.ones(1, 3, 8, 8), Random(0, [0]), 0).shape
    torch.Size([1, 3, 8, 8])
    """

    deviation: float
    samples: int = 1

    def __call__(self, images: Tensor, random: Random, draw: int) -> Tensor:
        """Return the pictures with noise."""
        noise = random.normal(*images.shape[1:], stream=("noise", draw), dtype=images.dtype)
        return images + self.deviation * noise
