"""Metrics of where a map lies: pointing game and mass inside a mask of the object, and mass near the border."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from backlight.explain.scores.judge import Judge, heat_of

REACH = 15 / 224
BORDER = 0.1


def pointing_game(judge: Judge, maps: Tensor) -> Tensor:
    """Return 1 or 0: the map's highest place lies on the object, up to 15 pixels in 224, [B].

    Zhang et al. (2018), "Top-down neural attention by excitation backprop", section 4.2. NaN for an empty mask
    and a flat map, which has no highest place.
    """
    masks = _masks(judge)
    heat = heat_of(maps).flatten(1)
    reach = round(REACH * min(judge.size))
    wide = F.max_pool2d(masks[:, None].double(), 2 * reach + 1, stride=1, padding=reach).flatten(1)
    hit = wide.gather(1, heat.argmax(1, keepdim=True))[:, 0]
    useless = (heat.amax(1) == heat.amin(1)) | ~masks.flatten(1).any(1)
    return hit.masked_fill(useless, float("nan"))


def mass(judge: Judge, maps: Tensor) -> Tensor:
    """Return the share of the map's positive mass that lies on the object, [B].

    Wang et al. (2020), "Score-CAM", section 4.2 (energy-based pointing game). NaN for an empty mask and a map
    that is nowhere positive.
    """
    masks = _masks(judge)
    positive = heat_of(maps).double().clamp(min=0)
    total = positive.sum((1, 2))
    inside = (positive * masks).sum((1, 2)) / total
    return inside.masked_fill((total <= 0) | ~masks.flatten(1).any(1), float("nan"))


def border(judge: Judge, maps: Tensor) -> Tensor:
    """Return the share of the map's positive mass in the outer tenth along each edge of the image, [B].

    Neither high nor low is better: much more than a random map's share (36% of a square image) says that the
    background, or the padding of the network, is looked at. NaN for a map that is nowhere positive.
    """
    height, width = judge.size
    inner = torch.zeros(height, width, dtype=torch.bool, device=maps.device)
    down, across = round(BORDER * height), round(BORDER * width)
    inner[down : height - down, across : width - across] = True
    positive = heat_of(maps).double().clamp(min=0)
    total = positive.sum((1, 2))
    outside = (positive * ~inner).sum((1, 2)) / total
    return outside.masked_fill(total <= 0, float("nan"))


def _masks(judge: Judge) -> Tensor:
    assert judge.masks is not None
    return judge.masks
