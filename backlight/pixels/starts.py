"""Where pixels start: near the originals, drawn by keyed random numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from backlight.core.errors import UsageError
from backlight.core.random import Random
from backlight.pixels.describe import Brief
from backlight.pixels.geometry import Epsilon, length, per_image, read_epsilon, rows_of


class Start(Protocol):
    """Choose where pixels start."""

    def __call__(self, images: Tensor, rows: Tensor, random: Random) -> Tensor:
        """Return start points `[A,C,H,W]` for originals `[A,C,H,W]` at `rows` of the batch; the loop projects."""
        ...


@dataclass(frozen=True, repr=False, eq=False)
class _Near(Brief):
    norm: str
    epsilon: Epsilon

    def __post_init__(self) -> None:
        if self.norm not in ("linf", "l2"):
            raise UsageError(f"a random start in {self.norm!r}", expected="linf or l2")
        object.__setattr__(self, "epsilon", read_epsilon(self.epsilon, self.norm))

    def radius(self, rows: Tensor, images: Tensor) -> float | Tensor:
        assert not isinstance(self.epsilon, str)
        return rows_of(self.epsilon, rows, images)


@dataclass(frozen=True, repr=False, eq=False)
class Uniform(_Near):
    """Start uniformly inside the ball of norm `linf` or `l2` and size epsilon (a number, "8/255" or [B]).

    For l2, two of n + 2 normal numbers on a sphere are dropped, which leaves a uniform point of the n-ball
    (Voelker, Gosmann and Stewart 2017).

    Raises UsageError for another norm.

    >>> start = Uniform("linf", "8/255")(torch.zeros(2, 3, 4, 4), torch.arange(2), Random(0, [0, 1]))
    >>> bool((start.abs() <= 8 / 255).all())
    True
    """

    def __call__(self, images: Tensor, rows: Tensor, random: Random) -> Tensor:
        """Return start points for originals `[A,C,H,W]`."""
        if self.norm == "linf":
            offset = 2 * random.uniform(*images.shape[1:], dtype=images.dtype) - 1
        else:
            sphere = random.normal(images.shape[1:].numel() + 2, dtype=images.dtype)
            sphere = sphere / length(sphere, "l2")[:, None]
            offset = sphere[:, 2:].reshape(images.shape)
        return images + self.radius(rows, images) * offset


@dataclass(frozen=True, repr=False, eq=False)
class Surface(_Near):
    """Start at distance epsilon: uniform numbers scaled to the linf surface, or normal ones to the l2 sphere.

    As APGD does (Croce and Hein 2020, reference code).

    Raises UsageError for another norm.

    >>> start = Surface("l2", 0.5)(torch.zeros(2, 3, 4, 4), torch.arange(2), Random(0, [0, 1]))
    >>> length(start, "l2")
    tensor([0.5000, 0.5000])
    """

    def __call__(self, images: Tensor, rows: Tensor, random: Random) -> Tensor:
        """Return start points for originals `[A,C,H,W]`."""
        shape, dtype = images.shape[1:], images.dtype
        linf = self.norm == "linf"
        offset = 2 * random.uniform(*shape, dtype=dtype) - 1 if linf else random.normal(*shape, dtype=dtype)
        offset = offset / per_image(length(offset, self.norm), offset).clamp(min=torch.finfo(dtype).tiny)
        return images + self.radius(rows, images) * offset


@dataclass(frozen=True, repr=False)
class Gaussian(Brief):
    """Start at the originals plus normal noise of a standard deviation in pixel units.

    >>> Gaussian(0.001)(torch.zeros(2, 3, 4, 4), torch.arange(2), Random(0, [0, 1])).shape
    torch.Size([2, 3, 4, 4])
    """

    deviation: float

    def __call__(self, images: Tensor, rows: Tensor, random: Random) -> Tensor:
        """Return start points for originals `[A,C,H,W]`."""
        return images + self.deviation * random.normal(*images.shape[1:], dtype=images.dtype)
