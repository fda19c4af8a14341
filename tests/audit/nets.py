"""Small trained networks on drawn shapes, whose faults are known."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from backlight.classifier import Classifier
from backlight.data.dataset import Dataset
from backlight.data.shapes import Drawn, Shapes


def shapes_data(drawn: Drawn, shapes: Shapes, first: int = 0) -> Dataset:
    """Return drawn pictures as a data set; ids begin at `first`."""
    ids = [str(first + row) for row in range(len(drawn.images))]
    return Dataset.of(drawn.images, drawn.labels, shapes.label_names, ids)


def small_net(classes: int) -> nn.Module:
    """Build a network for 32 px with a linear last layer."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 5, stride=2, padding=2),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        nn.Linear(32, classes),
    )


def train_on(images: Tensor, labels: Tensor, names: tuple[str, ...], *, steps: int = 120, seed: int = 0) -> Classifier:
    """Train a small network on uint8 pictures for a second."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = small_net(len(names))
    pixels, optimizer = images.float() / 255, torch.optim.Adam(net.parameters(), lr=3e-3)
    for step in range(steps):
        rows = torch.arange(step * 40, step * 40 + 40) % len(pixels)
        loss = nn.functional.cross_entropy(net(pixels[rows] - 0.5), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return Classifier.from_module(net, mean=(0.5,) * 3, std=(1.0,) * 3, size=32, labels=list(names))
