"""What a surrogate is shown instead of the picture: resized and padded, dimmed, mixed, or with a smoothed gradient.

Each is a `Transforms`, for the gradient only, of pictures of any size; what it draws depends on nothing but the
picture's key.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from backlight.attack.transfer.pool import photographs
from backlight.core.random import Random


@dataclass(frozen=True)
class Resized:
    """Shrink or keep, pad to one frame, bring back to size (DIM, Xie et al. 2019, arXiv:1803.06978).

    With chance `chance` a picture of side S is enlarged to a random side from S to below `factor` S, laid at a random
    place on a black frame of side `factor` S, and the frame is resized to S, all bilinearly.

    >>> Resized()(torch.rand(2, 3, 20, 30), Random(0, [0, 1]), 0).shape
    torch.Size([2, 3, 20, 30])
    """

    chance: float = 0.5
    factor: float = 1.1
    samples: int = 1

    def __call__(self, images: Tensor, random: Random, draw: int) -> Tensor:
        """Return the pictures, each resized and padded in its own way or as it is."""
        height, width = images.shape[2:]
        frame = [max(side + 1, int(self.factor * side)) for side in (height, width)]
        share = random.uniform(1, stream=("side", draw), dtype=torch.float64)
        corner = random.uniform(2, stream=("corner", draw), dtype=torch.float64)
        places, inside = [], []
        for axis, (side, whole) in enumerate(zip((height, width), frame)):
            drawn = side + (share * (whole - side)).floor()
            first = (corner[:, axis : axis + 1] * (whole - drawn + 1)).floor()
            place = torch.arange(whole, device=images.device) + 0.5 - first
            inside.append((place > 0) & (place < drawn))
            places.append((2 * place / drawn - 1).to(images.dtype))
        down, across = places[0][:, :, None].expand(-1, -1, frame[1]), places[1][:, None].expand(-1, frame[0], -1)
        grid = torch.stack([across, down], dim=-1)
        padded = F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
        padded = padded * (inside[0][:, None, :, None] & inside[1][:, None, None])
        small = F.interpolate(padded, (height, width), mode="bilinear", align_corners=False)
        changed = random.uniform(1, 1, 1, stream=("chance", draw)) < self.chance
        return torch.where(changed, small, images)


@dataclass(frozen=True)
class Dimmed:
    """Show the picture divided by 1, 2, 4, ... (SI, Lin et al. 2020, arXiv:1908.06281).

    >>> Dimmed()(torch.ones(1, 1, 1, 1), Random(0, [0]), 2)
    tensor([[[[0.2500]]]])
    """

    samples: int = 5

    def __call__(self, images: Tensor, random: Random, draw: int) -> Tensor:
        """Return the pictures at one brightness."""
        return images / 2**draw


@dataclass(frozen=True, eq=False)
class Mixed:
    """Add a little of another photograph, then dim as SI does (Admix, Wang et al. 2021, arXiv:2102.00436).

    Each of `samples` / `scales` others, weighed by `weight`, is shown at each of `scales` brightnesses. Others come
    from a fixed `pool` `[P,C,H,W]` of the pictures' size, cut out of a few sample photographs where none is given.
    Taken from the batch, as published, they would make a result depend on who else is in it.

    >>> Mixed()(torch.rand(2, 3, 20, 30), Random(0, [0, 1]), 7).shape
    torch.Size([2, 3, 20, 30])
    """

    weight: float = 0.2
    scales: int = 5
    samples: int = 15
    pool: Tensor | None = None

    def __call__(self, images: Tensor, random: Random, draw: int) -> Tensor:
        """Return the pictures, each mixed with its own other and dimmed."""
        other, scale = divmod(draw, self.scales)
        pool = photographs(tuple(images.shape[1:])) if self.pool is None else self.pool
        chosen = random.integer(len(pool), stream=("other", other))
        return (images + self.weight * pool.to(images)[chosen]) / 2**scale


@dataclass(frozen=True)
class SmoothedGradient:
    """Show the picture as it is, and smooth the gradient on its way back (TIM, Dong et al. 2019, arXiv:1904.02884).

    The gradient is convolved, per channel and with zeros beyond the edges, with the normal density at `taps` points
    from -`reach` to `reach` in each direction, normalized to sum 1.

    >>> picture = torch.rand(1, 3, 20, 30)
    >>> bool((SmoothedGradient()(picture, Random(0, [0]), 0) == picture).all())
    True
    """

    taps: int = 15
    reach: float = 3.0
    samples: int = 1

    def __call__(self, images: Tensor, random: Random, draw: int) -> Tensor:
        """Return the pictures, equal in value, with another way back."""
        # The kernel is even, so that the smoothing's gradient is the same smoothing of the gradient.
        down, across = (_smoothing(side, self.taps, self.reach).to(images) for side in images.shape[2:])
        smooth = by_matrices(down, images, across)
        return images.detach() + (smooth - smooth.detach())


def by_matrices(down: Tensor, images: Tensor, across: Tensor) -> Tensor:
    """Multiply pictures `[A,C,H,W]` by `down` `[H,H]` from the left and by the transpose of `across` `[W,W]`.

    >>> picture = torch.rand(1, 1, 2, 2)
    >>> torch.equal(by_matrices(torch.eye(2), picture, torch.eye(2).flip(0)), picture.flip(3))
    True
    """
    # Expanded, so that each channel of each picture is a product of its own whatever the batch.
    count = images.shape[:2]
    return down.expand(*count, -1, -1) @ images @ across.T.expand(*count, -1, -1)


@lru_cache(maxsize=16)
def _smoothing(side: int, taps: int, reach: float) -> Tensor:
    points = torch.linspace(-reach, reach, taps, dtype=torch.float64)
    weights = (-(points**2) / 2).exp()
    weights = weights / weights.sum()
    offset = torch.arange(side)[None] - torch.arange(side)[:, None] + taps // 2
    inside = (offset >= 0) & (offset < taps)
    return torch.where(inside, weights[offset.clamp(0, taps - 1)], 0.0)
