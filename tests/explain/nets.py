"""Small networks of every kind that explanations must bear."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from backlight.classifier import Classifier

SIZE = 16
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)


def keyed(net: nn.Module, seed: int = 0) -> nn.Module:
    """Draw all parameters from a private generator, so that the global one is not used."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            scale = 1.0 / max(1, parameter[0].numel()) ** 0.5 if parameter.ndim > 1 else 0.3
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale * 1.5)
    return net.eval()


def distinct_relu_net(classes: int = 5, channels: int = 3) -> nn.Sequential:
    """Build a network in which every ReLU is its own nn.ReLU, which captum's hooks need."""
    with torch.random.fork_rng():
        return keyed(
            nn.Sequential(
                nn.Conv2d(channels, 8, 3, padding=1),
                nn.ReLU(),
                nn.MaxPool2d(2),
                nn.Conv2d(8, 12, 3, padding=1),
                nn.ReLU(),
                nn.Conv2d(12, 10, 3, padding=1),
                nn.ReLU(),
                nn.AdaptiveAvgPool2d(1),
                nn.Flatten(),
                nn.Linear(10, classes),
            )
        )


class MixedReLU(nn.Module):
    """Compute the same as `distinct_relu_net` by functional, in-place and one reused rectifier."""

    def __init__(self, source: nn.Sequential) -> None:
        super().__init__()
        self.first, self.second, self.third, self.head = source[0], source[3], source[5], source[9]
        self.relu = nn.ReLU(inplace=True)

    def forward(self, images: Tensor) -> Tensor:
        hidden = F.max_pool2d(F.relu(self.first(images)), 2)
        hidden = self.relu(self.second(hidden))
        hidden = self.third(hidden)
        torch.relu_(hidden)
        return self.head(hidden.mean((2, 3)))


class ReusedReLU(nn.Module):
    """Run one in-place ReLU module three times."""

    def __init__(self, source: nn.Sequential) -> None:
        super().__init__()
        self.first, self.second, self.third, self.head = source[0], source[3], source[5], source[9]
        self.relu = nn.ReLU(inplace=True)

    def forward(self, images: Tensor) -> Tensor:
        hidden = F.max_pool2d(self.relu(self.first(images)), 2)
        hidden = self.relu(self.third(self.relu(self.second(hidden))))
        return self.head(hidden.mean((2, 3)))


def wrap(net: nn.Module, *, double: bool = True, size: int = SIZE) -> Classifier:
    """Make a classifier with uneven normalization, in float64 for exact comparisons."""
    return Classifier.from_module(net.double() if double else net, mean=MEAN, std=STD, size=size)


def images(count: int = 3, size: int | tuple[int, int] = SIZE, *, channels: int = 3, seed: int = 1) -> Tensor:
    """Draw float64 images in [0,1]."""
    height, width = (size, size) if isinstance(size, int) else size
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, channels, height, width, generator=generator, dtype=torch.float64)
