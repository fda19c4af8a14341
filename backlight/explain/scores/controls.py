"""Maps that know nothing of the model: what every score must be compared with."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from backlight.classifier import Classifier
from backlight.core.random import Random
from backlight.explain.scores.judge import Explainer

CONTROLS = ("random", "edges")


def random_map(images: Tensor, random: Random, turn: int = 0) -> Tensor:
    """Draw uniform maps [B,1,H,W], keyed by image and turn.

    >>> random_map(torch.zeros(2, 3, 4, 4), Random(0, [1, 2])).shape
    torch.Size([2, 1, 4, 4])
    """
    drawn = random.fork(("random map", turn)).uniform(1, *images.shape[2:], dtype=torch.float64)
    return drawn.to(images)


def edge_map(images: Tensor) -> Tensor:
    """Return the strength of edges in the gray image by Sobel's filter, [B,1,H,W].

    >>> float(edge_map(torch.ones(1, 3, 4, 4)).max())
    0.0
    """
    kernel = images.new_tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
    gray = F.pad(images.mean(1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    both = F.conv2d(gray, torch.stack([kernel, kernel.T])[:, None])
    return both.square().sum(1, keepdim=True).sqrt()


def control(name: str, random: Random) -> Explainer:
    """Return a control as an explainer: a function of classifier, images and turn."""

    def explain(_classifier: Classifier, images: Tensor, turn: int) -> Tensor:
        return edge_map(images) if name == "edges" else random_map(images, random, turn)

    return explain
