"""The small CIFAR-10 networks and images that the attack benchmarks and tests use."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from backlight.classifier import Classifier
from backlight.models import load

NAMES = ("plain", "plain_bn", "robust", "robust_bn")
RUNS = {"classic": "classic_cnn", "default": "classic_cnn", "adversarial": "classic_cnn", "residual": "residual_cnn"}
FOLDER = Path(__file__).with_name("nets")
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
_FILE = "cifar10_jpeg.npz"


class SmallCNN(nn.Sequential):
    """Classify 32 px images by four convolutions and two linear layers, 330,000 weights.

    >>> SmallCNN(batch_norm=True)(torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 10])
    """

    def __init__(self, *, batch_norm: bool) -> None:
        def block(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
            convolution = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=not batch_norm)
            return [convolution, *([nn.BatchNorm2d(outputs)] if batch_norm else []), nn.ReLU()]

        super().__init__(
            *block(3, 24, 1),
            *block(24, 48, 2),
            *block(48, 96, 2),
            *block(96, 96, 2),
            nn.Flatten(),
            nn.Linear(96 * 16, 128),
            nn.ReLU(),
            nn.Linear(128, 10),
        )


def wrap(module: nn.Module, name: str) -> Classifier:
    """Wrap a module for CIFAR-10 pixels in [0,1]."""
    return Classifier.from_module(module.eval(), mean=MEAN, std=STD, size=32, name=name)


def load_net(name: str) -> Classifier:
    """Load one of the trained networks of `benchmarks/nets`, by name, or what the long run of this name trained."""
    if name in RUNS:
        return load(RUNS[name], weights=FOLDER / f"{name}.safetensors", mean=0.5, std=0.5, size=32)
    module = SmallCNN(batch_norm=name.endswith("_bn"))
    module.load_state_dict(load_file(FOLDER / f"{name}.safetensors"))
    return wrap(module, name)


def data_file() -> Path:
    """Find the CIFAR-10 file below BACKLIGHT_DATA (default `../shared/data`)."""
    root = Path(__file__).resolve().parents[1]
    return Path(os.environ.get("BACKLIGHT_DATA") or (root.parent / "shared" / "data")) / _FILE


def read_cifar(split: str, start: int = 0, stop: int | None = None) -> tuple[Tensor, Tensor]:
    """Decode images [N,3,32,32], uint8, and labels [N] of `train` or `test`."""
    with np.load(data_file(), allow_pickle=False) as file:
        jpeg, offsets, labels = (file[f"{split}_{part}"] for part in ("jpeg", "offsets", "y"))
    rows = range(len(labels))[start:stop]
    images = np.empty((len(rows), 32, 32, 3), np.uint8)
    for place, row in enumerate(rows):
        data = jpeg[offsets[row] : offsets[row + 1]].tobytes()
        images[place] = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(labels[start:stop])


def test_images(count: int) -> tuple[Tensor, Tensor]:
    """Give the first test images as float [N,3,32,32] in [0,1], and their labels."""
    images, labels = read_cifar("test", 0, count)
    return images.float() / 255, labels
