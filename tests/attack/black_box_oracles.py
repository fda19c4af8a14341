"""A linear model of two classes whose smallest changes are known, and pictures that are all equally far from it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from backlight.attack import Challenge, ThreatModel
from backlight.classifier import Classifier

SIDE, MARGIN = 8, 8.0
VALUES = 3 * SIDE * SIDE


class Halfspace:
    """Class 1 where weight * picture is above a bound, by which every picture is 8 short."""

    def __init__(self, count: int, seed: int = 0) -> None:
        draw = torch.Generator().manual_seed(seed)
        self.weight = torch.randn(VALUES, generator=draw, dtype=torch.float64)
        flat = 0.1 + 0.8 * torch.rand(count, VALUES, generator=draw, dtype=torch.float64)
        middle = self.weight.sum() / 2
        flat += ((middle - flat @ self.weight) / self.weight.square().sum())[:, None] * self.weight
        self.images = flat.view(count, 3, SIDE, SIDE)
        net = nn.Sequential(nn.Flatten(), nn.Linear(VALUES, 2).double())
        with torch.no_grad():
            net[1].weight.zero_()
            net[1].weight[1] = self.weight
            net[1].bias.copy_(torch.tensor([0.0, -float(middle) - MARGIN]))
        self.classifier = Classifier.from_module(net, size=SIDE, mean=(0.0,) * 3, std=(1.0,) * 3)

    def challenge(self, norm: str, eps: float | None = None, rows: Tensor | None = None) -> Challenge:
        rows = torch.arange(len(self.images)) if rows is None else rows
        ids = [f"picture {row}" for row in rows.tolist()]
        return Challenge.of(self.classifier, self.images[rows], threat=ThreatModel(norm, eps), ids=ids)

    def distances(self, norm: str) -> Tensor:
        """The smallest change of each picture in the box, by bisection on its size."""
        flat = self.images.flatten(1)
        room = torch.where(self.weight > 0, 1 - flat, flat)
        shape = self.weight.abs() if norm == "l2" else torch.ones(VALUES, dtype=torch.float64)
        low, high = torch.zeros(len(flat), 1).double(), torch.full((len(flat), 1), 10.0).double()
        for _ in range(60):
            middle = (low + high) / 2
            enough = (torch.minimum(middle * shape, room) @ self.weight.abs() >= MARGIN)[:, None]
            low, high = torch.where(enough, low, middle), torch.where(enough, middle, high)
        change = torch.minimum(high * shape, room)
        return change.norm(dim=1) if norm == "l2" else change.amax(1)
