"""The classic CIFAR-10 network with residual blocks for its last two convolutions."""

from __future__ import annotations

from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """Compute y = relu(x + conv(relu(conv(x)))) (He et al., 2016, equation 1).

    >>> import torch
    >>> ResidualBlock(4)(torch.zeros(1, 4, 8, 8)).shape
    torch.Size([1, 4, 8, 8])
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, H, W]` to the same shape."""
        return self.relu(x + self.conv2(self.relu(self.conv1(x))))


class ResidualCNN(nn.Module):
    """Classify small images with `ClassicCNN` whose third and fourth convolutions are residual blocks.

    >>> import torch
    >>> ResidualCNN(10, (32, 32), 3)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    def __init__(self, classes: int, size: tuple[int, int], channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 50, 3, padding=1)
        self.conv2 = nn.Conv2d(50, 100, 3, padding=1)
        self.block3 = ResidualBlock(100)
        self.block4 = ResidualBlock(100)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.hidden = nn.Linear(100 * (size[0] // 8) * (size[1] // 8), 100)
        self.head = nn.Linear(100, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Map normalized images `[B, C, H, W]` to logits `[B, classes]`."""
        x = self.pool(self.relu(self.conv1(images)))
        x = self.pool(self.relu(self.conv2(x)))
        x = self.pool(self.block3(x))
        x = self.block4(x)
        return self.head(self.relu(self.hidden(x.flatten(1))))
