"""Random views of the pictures, for the gradient only; verdicts are about the picture itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from backlight.core.errors import InputError
from backlight.core.random import Random


class Transforms(Protocol):
    """Show each picture in a random view of it; with `samples` above 1 the gradient is their mean.

    >>> views: Transforms = Jitter(2, samples=4)
    >>> views.samples
    4
    """

    @property
    def samples(self) -> int:
        """Count the views per turn."""
        ...

    def __call__(self, images: Tensor, random: Random, draw: int) -> Tensor:
        """Return view number `draw` of pictures `[A,C,H,W]`, differentiably, keyed by `random` and `draw`."""
        ...


@dataclass(frozen=True)
class Jitter:
    """Roll each picture by its own offset of up to `reach` pixels each way, around the edges.

    Raises InputError for a negative reach or no samples.

    >>> rolled = Jitter(2)(torch.rand(2, 3, 8, 8), Random(0, [0, 1]), 0)
    >>> rolled.shape
    torch.Size([2, 3, 8, 8])
    """

    reach: int
    samples: int = 1

    def __post_init__(self) -> None:
        if self.reach < 0 or self.samples < 1:
            raise InputError(f"{self}", expected="reach >= 0 and samples >= 1")

    def __call__(self, images: Tensor, random: Random, draw: int) -> Tensor:
        """Return the pictures, rolled."""
        count, channels, height, width = images.shape
        offset = random.integer(2 * self.reach + 1, 2, stream=("jitter", draw)) - self.reach
        down = (torch.arange(height, device=images.device) - offset[:, :1]) % height
        across = (torch.arange(width, device=images.device) - offset[:, 1:]) % width
        images = images.gather(2, down[:, None, :, None].expand(-1, channels, -1, width))
        return images.gather(3, across[:, None, None, :].expand(-1, channels, height, -1))


@dataclass(frozen=True)
class Compose:
    """Apply several transforms in order; `samples` counts the views of the whole.

    Each part draws from its own stream, so two of a kind move independently.

    >>> Compose((Jitter(4), Jitter(1)), samples=8).samples
    8
    """

    parts: tuple[Transforms, ...]
    samples: int = 1

    def __call__(self, images: Tensor, random: Random, draw: int) -> Tensor:
        """Return the pictures, transformed by every part."""
        for place, part in enumerate(self.parts):
            images = part(images, random.fork(("part", place)), draw)
        return images
