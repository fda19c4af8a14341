"""ResNet-18 for pictures of 32 pixels: a 3x3 stem of stride 1 and no first pooling, as robustness is published on."""

from __future__ import annotations

from torch import nn
from torchvision.models import resnet18 as photographs_resnet18


def resnet18() -> nn.Module:
    """Build it for ten classes.

    >>> import torch
    >>> resnet18()(torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 10])
    """
    network = photographs_resnet18(num_classes=10)
    network.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
    network.maxpool = nn.Identity()
    return network
