"""Strips of a picture, cut, shuffled and turned (BSR)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from backlight.core.random import Random


@dataclass(frozen=True)
class Shuffled:
    """Cut along the width, shuffle the strips and turn each, then the same along the height (BSR, arXiv:2308.10299).

    The cuts of a picture's `strips`, their order and their turns of up to `degrees` are its own; what a turn brings in
    from outside of a strip is black (Wang et al. 2023).

    >>> Shuffled()(torch.rand(2, 3, 20, 30), Random(0, [0, 1]), 0).shape
    torch.Size([2, 3, 20, 30])
    """

    strips: int = 3
    degrees: float = 24.0
    samples: int = 20

    def __call__(self, images: Tensor, random: Random, draw: int) -> Tensor:
        """Return the pictures, shuffled along both directions."""
        wide = self._along(images, random, ("width", draw))
        return self._along(wide.transpose(2, 3), random, ("height", draw)).transpose(2, 3)

    def _along(self, images: Tensor, random: Random, name: tuple[str, int]) -> Tensor:
        """Shuffle strips `[A,C,H,:]` along the last direction."""
        high, wide = images.shape[2:]
        edges = self._edges(wide, random, name)
        order = random.uniform(self.strips, stream=("order", *name), dtype=torch.float64).argsort(1)
        widths = edges.diff(dim=1)
        ends = widths.gather(1, order).cumsum(1)
        place = torch.arange(wide, device=images.device)
        slot = (place[None, :, None] >= ends[:, None, :-1]).sum(2)
        strip = order.gather(1, slot)
        start = torch.cat([torch.zeros_like(ends[:, :1]), ends[:, :-1]], 1).gather(1, slot)
        half = widths.gather(1, strip)[:, None] / 2
        spin = 2 * random.uniform(self.strips, stream=("turn", *name), dtype=torch.float64) - 1
        angle = (spin * math.radians(self.degrees)).gather(1, strip)[:, None]
        x = (place + 0.5 - start)[:, None] - half
        y = (torch.arange(high, device=images.device) + 0.5 - high / 2)[None, :, None]
        along, down = angle.cos() * x - angle.sin() * y, angle.sin() * x + angle.cos() * y
        inside = (along.abs() <= half) & (down.abs() <= high / 2)
        source = edges.gather(1, strip)[:, None] + half + along
        grid = torch.stack([2 * source / wide - 1, 2 * down / high], dim=-1).to(images.dtype)
        turned = F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        return turned * inside[:, None]

    def _edges(self, wide: int, random: Random, name: tuple[str, int]) -> Tensor:
        """Return where strips begin and end, whole pixels `[A,strips+1]`: shares are uniform numbers, normalized."""
        share = random.uniform(self.strips, stream=("cut", *name), dtype=torch.float64) + 1e-9
        ends = (wide * share.cumsum(1) / share.sum(1, keepdim=True)).round().long()
        return torch.cat([torch.zeros_like(ends[:, :1]), ends], 1)
