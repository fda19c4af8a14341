"""A small network with an awkward label, and a few pictures for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from backlight import Classifier
from backlight.images import write_png

SIDE = 16
LABELS = ("circle", "<b>square</b>", "triangle", "star")


def small_model(labels: Sequence[str]) -> Classifier:
    """Make a network that is sure of what it says."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        net = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(64, len(labels))
        )  # fmt: skip
        net[-1].weight.data *= 20
    return Classifier.from_module(net, size=SIDE, labels=labels, name="small")


def write_pictures(folder: Path) -> tuple[Path, ...]:
    """Write three pictures of noise."""
    draw = torch.Generator().manual_seed(0)
    paths = tuple(folder / f"{name}.png" for name in ("a", "b", "c"))
    for path in paths:
        write_png(path, torch.rand(3, SIDE, SIDE, generator=draw))
    return paths
