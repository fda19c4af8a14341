"""A plain ImageNet-style network for 128 px images, with or without batch normalization."""

from __future__ import annotations

from torch import Tensor, nn


class SimpleNet(nn.Module):
    """Classify images by four convolutions of shrinking kernels, poolings and two linear layers.

    The pattern of AlexNet (Krizhevsky et al., 2012), narrower and for 128 px: 7x7 with stride 2, 5x5, and
    two of 3x3, with max-pooling between them. `batch_norm` normalizes after every convolution.

    >>> import torch
    >>> SimpleNet(100, (128, 128), 3)(torch.zeros(1, 3, 128, 128)).shape
    torch.Size([1, 100])
    """

    def __init__(self, classes: int, size: tuple[int, int], channels: int, *, batch_norm: bool = False) -> None:
        super().__init__()

        def conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
            layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=not batch_norm)
            return [layer, *([nn.BatchNorm2d(outputs)] if batch_norm else []), nn.ReLU()]

        self.features = nn.Sequential(
            *conv(channels, 32, 7, stride=2),
            nn.MaxPool2d(2),
            *conv(32, 64, 5),
            nn.MaxPool2d(2),
            *conv(64, 128, 3),
            *conv(128, 128, 3),
            nn.MaxPool2d(2),
        )
        shrunk = (-(-size[0] // 2) // 8) * (-(-size[1] // 2) // 8)
        self.hidden = nn.Sequential(nn.Flatten(), nn.Linear(128 * shrunk, 256), nn.ReLU())
        self.head = nn.Linear(256, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Map normalized images `[B, C, H, W]` to logits `[B, classes]`."""
        return self.head(self.hidden(self.features(images)))


class SimpleNetBN(SimpleNet):
    """Classify images with `SimpleNet`, every convolution followed by batch normalization.

    >>> import torch
    >>> SimpleNetBN(100, (128, 128), 3).eval()(torch.zeros(1, 3, 128, 128)).shape
    torch.Size([1, 100])
    """

    def __init__(self, classes: int, size: tuple[int, int], channels: int) -> None:
        super().__init__(classes, size, channels, batch_norm=True)
