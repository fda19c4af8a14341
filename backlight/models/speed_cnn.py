"""A network for fast training on small images, after airbench (Jordan, 2024, arXiv 2404.00498).

Three ideas carry most of the speed: the first layer whitens 2x2 patches with fixed weights computed from
training images, the other convolutions start as identities, and normalization biases learn 64 times faster.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from backlight.core.errors import InputError, did_you_mean

WIDTHS = {"tiny": (32, 64, 64), "small": (64, 128, 128), "base": (64, 256, 256), "large": (128, 384, 384)}
BIAS_RATE = 64.0


class SpeedCNN(nn.Module):
    """Classify small images with the airbench network.

    `width` names a step of the ladder `WIDTHS`; "base" with 10 classes has the paper's 1.97 million
    parameters. Call `whiten` once with training images before training.

    >>> import torch
    >>> SpeedCNN(10, (32, 32), 3, width="tiny").eval()(torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 10])
    """

    def __init__(self, classes: int, size: tuple[int, int], channels: int, *, width: str = "base") -> None:
        """Raise `InputError` for a width that is not in the ladder."""
        super().__init__()
        if width not in WIDTHS:
            raise InputError(f"width is {width!r}", expected=did_you_mean(width, WIDTHS))
        patch = 4 * channels
        self.whitening = nn.Conv2d(channels, 2 * patch, 2)
        self.whitening.weight.requires_grad_(False)
        self._set_whitening(nn.init.orthogonal_(torch.empty(patch, patch)))
        widths = (2 * patch, *WIDTHS[width])
        self.activation = nn.GELU()
        self.groups = nn.Sequential(*(_group(*pair) for pair in zip(widths, widths[1:])))
        self.pool = nn.AdaptiveMaxPool2d(1)
        self.head = nn.Linear(widths[-1], classes, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Map normalized images `[B, C, H, W]` to logits `[B, classes]`."""
        x = self.groups(self.activation(self.whitening(images)))
        return self.head(self.pool(x).flatten(1)) / 9

    @torch.no_grad()
    def whiten(self, images: Tensor, *, epsilon: float = 5e-4) -> None:
        """Set the first layer from normalized training images `[N, C, H, W]`; 5,000 are plenty.

        Its filters become plus and minus the eigenvectors of the covariance of all 2x2 patches, each
        divided by the root of its eigenvalue plus `epsilon`, so that responses are uncorrelated and of
        variance 1. Raises `InputError` for images of another shape.

        >>> network = SpeedCNN(10, (32, 32), 3, width="tiny")
        >>> network.whiten(torch.randn(8, 3, 32, 32))
        """
        if images.ndim != 4 or images.shape[1] != self.whitening.in_channels or not len(images):
            expected = f"shape [N, {self.whitening.in_channels}, H, W]"
            raise InputError(f"images have shape {list(images.shape)}", expected=expected)
        moment, count = torch.zeros((), dtype=torch.float64, device=images.device), 0
        for part in images.split(256):  # patches repeat every pixel four times
            patches = part.unfold(2, 2, 1).unfold(3, 2, 1).permute(0, 2, 3, 1, 4, 5)
            flat = patches.reshape(-1, 4 * images.shape[1]).double()
            moment, count = moment + flat.T @ flat, count + len(flat)
        values, vectors = torch.linalg.eigh(moment / count)
        self._set_whitening((vectors / (values + epsilon).sqrt()).T.flip(0))

    def learning_rate_scales(self) -> dict[str, float]:
        """Return the factor on the learning rate of each trainable parameter that has one.

        >>> sorted(set(SpeedCNN(10, (32, 32), 3, width="tiny").learning_rate_scales().values()))
        [64.0]
        """
        normalizations = [name for name, layer in self.named_modules() if isinstance(layer, nn.BatchNorm2d)]
        return {f"{name}.bias": BIAS_RATE for name in normalizations}

    @torch.no_grad()
    def _set_whitening(self, filters: Tensor) -> None:
        weight = self.whitening.weight
        signed = torch.cat([filters, -filters]).to(weight)
        weight.copy_(signed.view_as(weight))


def _group(inputs: int, outputs: int) -> nn.Sequential:
    """Assemble convolution, pooling and a second convolution, each normalized before its activation."""
    return nn.Sequential(
        _identity_conv(inputs, outputs),
        nn.MaxPool2d(2),
        _normalization(outputs),
        nn.GELU(),
        _identity_conv(outputs, outputs),
        _normalization(outputs),
        nn.GELU(),
    )


def _identity_conv(inputs: int, outputs: int) -> nn.Conv2d:
    """Make a convolution whose first `inputs` filters pass their channel on unchanged."""
    layer = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    with torch.no_grad():
        nn.init.dirac_(layer.weight[:inputs])
    return layer


def _normalization(width: int) -> nn.BatchNorm2d:
    """Make a normalization with a bias and no scale; its running mean keeps 0.6 of the past each step."""
    layer = nn.BatchNorm2d(width, eps=1e-12, momentum=0.4)
    layer.weight.requires_grad_(False)
    return layer
