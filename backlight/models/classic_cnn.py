"""The classic CIFAR-10 network: four 3x3 convolutions, three poolings, two linear layers."""

from __future__ import annotations

from torch import Tensor, nn


class ClassicCNN(nn.Module):
    """Classify small images with a plain convolutional network.

    Convolutions of 50, 100, 100, 100 channels with "same" padding, ReLU after each, 2x2 max-pooling after
    the first three; at 32 px 1,600 numbers enter the linear layers of 100 and `classes`.

    >>> import torch
    >>> ClassicCNN(10, (32, 32), 3)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    def __init__(self, classes: int, size: tuple[int, int], channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 50, 3, padding=1)
        self.conv2 = nn.Conv2d(50, 100, 3, padding=1)
        self.conv3 = nn.Conv2d(100, 100, 3, padding=1)
        self.conv4 = nn.Conv2d(100, 100, 3, padding=1)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.hidden = nn.Linear(100 * (size[0] // 8) * (size[1] // 8), 100)
        self.head = nn.Linear(100, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Map normalized images `[B, C, H, W]` to logits `[B, classes]`."""
        x = self.pool(self.relu(self.conv1(images)))
        x = self.pool(self.relu(self.conv2(x)))
        x = self.pool(self.relu(self.conv3(x)))
        x = self.relu(self.conv4(x))
        return self.head(self.relu(self.hidden(x.flatten(1))))
