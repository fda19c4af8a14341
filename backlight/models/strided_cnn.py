"""A network that can be certified: two strided convolutions, two linear layers, nothing else."""

from __future__ import annotations

from torch import Tensor, nn


class StridedCNN(nn.Module):
    """Classify small images with few layers, through which bounds stay tight and cost little.

    4x4 convolutions of stride 2 to 32 and 64 channels and linear layers of 256 and `classes`, with ReLU between: the
    small network of certified training (Gowal et al. 2018, arXiv:1810.12715), twice as wide. No pooling: linear bounds
    of a maximum are loose.

    >>> import torch
    >>> StridedCNN(10, (32, 32), 3)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    def __init__(self, classes: int, size: tuple[int, int], channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 32, 4, stride=2, padding=1)
        self.conv2 = nn.Conv2d(32, 64, 4, stride=2, padding=1)
        self.relu = nn.ReLU()
        self.hidden = nn.Linear(64 * (size[0] // 4) * (size[1] // 4), 256)
        self.head = nn.Linear(256, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Map normalized images `[B, C, H, W]` to logits `[B, classes]`."""
        x = self.relu(self.conv2(self.relu(self.conv1(images))))
        return self.head(self.relu(self.hidden(x.flatten(1))))
