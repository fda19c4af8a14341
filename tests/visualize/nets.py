"""Small smooth networks for pictures by gradients."""

from __future__ import annotations

import torch
from torch import nn

from backlight.classifier import Classifier


def toy(
    channels: int = 3, classes: int = 4, *, norm: bool = True, size: int = 32, dtype: torch.dtype = torch.float64
) -> Classifier:
    """Build a CNN with three resolutions whose classes depend on colors and edges, any input size."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        net = nn.Sequential(
            nn.Conv2d(channels, 8, 3, padding=1),
            nn.BatchNorm2d(8) if norm else nn.Identity(),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 12, 3, padding=1),
            nn.ReLU(),
            nn.AvgPool2d(2),
            nn.Conv2d(12, 12, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(12, classes),
        ).to(dtype)
    mean, std = [0.5] * channels, [0.25] * channels
    return Classifier.from_module(net, mean=mean, std=std, size=size)


def pictures(count: int = 2, channels: int = 3, size: tuple[int, int] = (32, 32), seed: int = 0) -> torch.Tensor:
    """Draw smooth random pictures."""
    generator = torch.Generator().manual_seed(seed)
    small = torch.rand(count, channels, 6, 6, generator=generator, dtype=torch.float64)
    return nn.functional.interpolate(small, size=size, mode="bilinear").clamp(0, 1)
