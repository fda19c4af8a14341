"""What the tests of training share: drawn pictures, a small network with every kind of layer, comparisons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from backlight.classifier import Classifier
from backlight.core.random import Random
from backlight.data.dataset import Dataset
from backlight.data.load import load_data
from backlight.train.batches import TrainingBatch
from backlight.train.recipe import Recipe
from backlight.train.runtime import Runtime

KEYS = torch.arange(6)
LABELS = KEYS % 3
IMAGES = Random(3, KEYS).uniform(3, 8, 8, dtype=torch.float64)
BATCH = TrainingBatch(IMAGES, LABELS, KEYS, KEYS, 6)
PLAIN = Recipe(optimizer="sgd", lr=0.1, momentum=0.0, weight_decay=0.0, label_smoothing=0.0)
QUIET = Runtime(precision="float32", memory_format="contiguous", save_every=0.0, log_every=2, tensorboard=False)


def pictures(count: int = 60, split: str = "train") -> Dataset:
    """Load drawn pictures of 8 pixels in 3 classes."""
    return load_data(f"shapes:n={count},size=8,classes=3", split=split)


def network(seed: int = 0, norm: bool = True, dropout: float = 0.2) -> Classifier:
    """Build a small network with normalization and dropout."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1),
            nn.BatchNorm2d(6) if norm else nn.Identity(),
            nn.ReLU(),
            nn.Conv2d(6, 6, 3, padding=1),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(6 * 64, 3),
        )
    return Classifier.from_module(net, size=8, labels=pictures().label_names)


def doubled(norm: bool = True, dropout: float = 0.0, seed: int = 0) -> Classifier:
    """Build such a network in double precision, without dropout unless it is asked for."""
    classifier = network(seed, norm, dropout)
    classifier.module.double()
    return classifier


def state_of(folder: Path) -> dict[str, Any]:
    """Read a run's state."""
    return torch.load(folder / "state.pt", weights_only=True)


def same(left: Any, right: Any) -> bool:
    """Compare nested data, tensors bit by bit."""
    if isinstance(left, Tensor):
        return isinstance(right, Tensor) and left.dtype == right.dtype and torch.equal(left, right)
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(value, right[key]) for key, value in left.items())
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)
