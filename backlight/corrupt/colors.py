"""Hue, saturation and value without leaving RGB: contrast, saturate, and what other corruptions need of it."""

from __future__ import annotations

import torch
from torch import Tensor

from backlight.core.random import Random
from backlight.corrupt.severities import Constants


def value_of(images: Tensor) -> Tensor:
    """Return the value of HSV, `[A,1,H,W]`: the largest channel."""
    return images.amax(1, keepdim=True)


def luminance(images: Tensor) -> Tensor:
    """Return the weighted mean of red, green and blue (ITU-R 601), `[A,1,H,W]`."""
    weights = torch.tensor([0.299, 0.587, 0.114], dtype=images.dtype, device=images.device)
    return (images * weights.view(1, 3, 1, 1)).sum(1, keepdim=True)


def contrast(images: Tensor, constants: Constants, random: Random) -> Tensor:
    """Bring every value nearer to its channel's mean: the share `constants[0]` of the distance stays."""
    mean = images.mean((2, 3), keepdim=True)
    return (images - mean) * constants[0] + mean


def saturate(images: Tensor, constants: Constants, random: Random) -> Tensor:
    """Multiply the saturation of HSV by `constants[0]` and add `constants[1]`; grey has the hue of red."""
    value = value_of(images)
    distance = value - images
    spread = distance.amax(1, keepdim=True)
    saturation = spread / torch.where(value > 0, value, 1)
    wanted = (saturation * constants[0] + constants[1]).clamp(0, 1) * value
    red = torch.tensor([0.0, 1.0, 1.0], dtype=images.dtype, device=images.device).view(1, 3, 1, 1)
    share = torch.where(spread > 0, distance / torch.where(spread > 0, spread, 1), red)
    return value - share * wanted
