"""Where a patch lies in each picture: its place, its turn and its size, drawn by key, and the patch laid there."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from backlight.core.random import Random

SHAPES = ("circle", "square")


class Places(NamedTuple):
    """For A pictures, float64 `[A]` each: the patch's middle from the top and the left, its side, in pixels; its turn.

    >>> Places(*torch.zeros(4, 2, dtype=torch.float64)).turn.shape
    torch.Size([2])
    """

    down: Tensor
    across: Tensor
    side: Tensor
    turn: Tensor


def draw_places(
    random: Random, frame: tuple[int, int], size: tuple[float, float], degrees: float, shape: str
) -> Places:
    """Draw a size (a share of the shorter side), a turn of up to `degrees` either way, and a place where it fits.

    `frame` is the pictures' (height, width). A patch that fits nowhere at its turn lies in the middle, its corners cut.

    >>> places = draw_places(Random(0, ["cat.png"]), (20, 30), (0.5, 0.5), 0.0, "circle")
    >>> places.side.tolist(), bool((places.down >= 5).all() and (places.down <= 15).all())
    ([10.0], True)
    """
    part = random.uniform(4, stream="patch", dtype=torch.float64)
    side = (size[0] + (size[1] - size[0]) * part[:, 0]) * min(frame)
    turn = math.radians(degrees) * (2 * part[:, 1] - 1)
    # From the middle to where the turned patch ends.
    reach = side / 2 if shape == "circle" else side / 2 * (turn.cos().abs() + turn.sin().abs())
    down, across = (_between(reach, length, share) for length, share in zip(frame, part[:, 2:].unbind(1)))
    return Places(down, across, side, turn)


def _between(reach: Tensor, length: int, share: Tensor) -> Tensor:
    """Return places from one end of a length to the other, neither nearer than `reach`."""
    nearest = reach.clamp(max=length / 2)
    return nearest + (length - 2 * nearest) * share


def lay(patches: Tensor, images: Tensor, places: Places, shape: str) -> Tensor:
    """Lay a patch `[A,C,S,S]` over each picture `[A,C,H,W]`, differentiably; all around it is untouched.

    >>> images, places = torch.zeros(1, 3, 9, 9), Places(*torch.tensor([[4.5], [4.5], [3.0], [0.0]]).double())
    >>> lay(torch.ones(1, 3, 6, 6), images, places, "square").sum((1, 2, 3))
    tensor([27.])
    """
    height, width = images.shape[2:]
    down, across, side, turn = (one.to(images.device)[:, None, None] for one in places)
    y = (torch.arange(height, device=images.device) + 0.5)[:, None] - down
    x = (torch.arange(width, device=images.device) + 0.5) - across
    right = (turn.cos() * x + turn.sin() * y) / (side / 2)
    below = (turn.cos() * y - turn.sin() * x) / (side / 2)
    grid = torch.stack([right, below], dim=-1).to(images.dtype)
    laid = F.grid_sample(patches, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return torch.where(covered(right, below, shape)[:, None], laid, images)


def covered(right: Tensor, below: Tensor, shape: str) -> Tensor:
    """Describe which points a patch covers, where it reaches from -1 to 1 both ways: bool."""
    return right**2 + below**2 <= 1 if shape == "circle" else torch.maximum(right.abs(), below.abs()) <= 1


def outline(side: int, shape: str) -> Tensor:
    """Return the mask `[S,S]` of a patch's own pixels: of a circle no corners.

    >>> int(outline(4, "circle").sum()), int(outline(4, "square").sum())
    (12, 16)
    """
    place = (2 * torch.arange(side, dtype=torch.float64) + 1) / side - 1
    return covered(place[None, :], place[:, None], shape)
