"""A deeper network for 128 px images: ten convolutions, strides in place of pooling, batch normalization."""

from __future__ import annotations

from torch import Tensor, nn


class DeepNet(nn.Module):
    """Classify images by ten normalized convolutions of kernels 5, 3 and 1 and one linear layer.

    Four of the convolutions halve the image by their stride, 1x1 convolutions mix channels between the 3x3
    ones, and the mean over positions replaces the large linear layer, so any input size fits.

    >>> import torch
    >>> DeepNet(100, (128, 128), 3).eval()(torch.zeros(1, 3, 128, 128)).shape
    torch.Size([1, 100])
    """

    def __init__(self, classes: int, size: tuple[int, int], channels: int) -> None:
        super().__init__()

        def conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
            layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
            return [layer, nn.BatchNorm2d(outputs), nn.ReLU()]

        self.features = nn.Sequential(
            *conv(channels, 32, 5, stride=2),
            *conv(32, 32, 3),
            *conv(32, 64, 3, stride=2),
            *conv(64, 64, 3),
            *conv(64, 128, 3, stride=2),
            *conv(128, 64, 1),
            *conv(64, 128, 3),
            *conv(128, 256, 3, stride=2),
            *conv(256, 128, 1),
            *conv(128, 256, 3),
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(256, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Map normalized images `[B, C, H, W]` to logits `[B, classes]`."""
        return self.head(self.pool(self.features(images)).flatten(1))
