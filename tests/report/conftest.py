from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from skimage import data
from torch import nn

from backlight import Classifier

SCRIPT = "<script>alert(1)</script>"


def small_classifier(labels: tuple[str, ...] = (SCRIPT, "dog", "cat"), channels: int = 3) -> Classifier:
    """Make a tiny network at 32 px that answers in milliseconds."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(channels, 8, 3, stride=2), nn.ReLU(inplace=True), nn.Conv2d(8, 8, 3), nn.ReLU(),
            nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, len(labels)),
        )  # fmt: skip
    gray = (0.0,) * channels
    return Classifier.from_module(net, mean=gray, std=(1.0,) * channels, size=32, labels=labels)


@pytest.fixture(scope="session")
def classifier() -> Classifier:
    return small_classifier()


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Give two photographs, wide and high, as files."""
    folder = tmp_path_factory.mktemp("photographs")
    Image.fromarray(data.chelsea()).resize((90, 60)).save(folder / "chelsea.png")
    Image.fromarray(data.coffee()).resize((48, 64)).save(folder / "coffee.jpg")
    return [folder / "chelsea.png", folder / "coffee.jpg"]
