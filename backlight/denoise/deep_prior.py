"""The deep image prior: a small random CNN that learns one noisy picture learns its shapes before its noise."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from backlight.core.random import Random
from backlight.denoise.loss import loss

_WIDTH = 32
_SCALES = 3
_INPUT = 8
_LR = 0.01
_AVERAGE = 0.97  # of the outputs: the last ones waver


def deep_prior(
    images: Tensor,
    *,
    data_norm: str,
    steps: int,
    seed: int = 0,
    watch: Callable[[int, int, Tensor], None] | None = None,
) -> Tensor:
    """Fit a CNN with random weights to each picture `[A,C,H,W]` for `steps` steps, and give what it shows.

    Steps are the smoothness: too many bring the noise back (Ulyanov, Vedaldi and Lempitsky 2018,
    arXiv:1711.10925). The averaged output of the last steps is returned. `watch` is shown the step, `steps` and the
    pictures as they are then, `images` where none was fitted yet.

    >>> deep_prior(torch.rand(1, 3, 16, 17), data_norm="l2", steps=2).shape
    torch.Size([1, 3, 16, 17])
    """
    with torch.inference_mode(False), torch.enable_grad():
        found = images.detach().clone()
        for row, picture in enumerate(images):
            random = Random(seed, torch.tensor([row], device=images.device))
            for step, shown in enumerate(_fit(picture[None].clone(), data_norm, steps, random), 1):
                found[row] = shown[0]
                if watch is not None:
                    watch(step, steps, found)
    return found


def _fit(noisy: Tensor, data_norm: str, steps: int, random: Random) -> Iterator[Tensor]:
    height, width = noisy.shape[2:]
    inputs = random.uniform(_INPUT, height, width, stream="input", dtype=noisy.dtype) / 10
    weights = _random_weights(noisy.shape[1], random, noisy.dtype)
    optimizer = torch.optim.Adam(weights, lr=_LR)
    average = torch.zeros_like(noisy)
    for step in range(1, steps + 1):
        shown = _network(inputs, weights)
        average = average * _AVERAGE + shown.detach() * (1 - _AVERAGE)
        value = loss(shown, noisy, 0.0, data_norm=data_norm).sum() / noisy.numel()
        gradients = torch.autograd.grad(value, weights)
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient
        optimizer.step()
        yield (average / (1 - _AVERAGE**step)).clamp(0, 1)


def _random_weights(channels: int, random: Random, dtype: torch.dtype) -> list[Tensor]:
    """Draw the 3 x 3 filters of the way down and the way up, and the last 1 x 1 ones."""
    down = [(_WIDTH, _INPUT if scale == 0 else _WIDTH, 3) for scale in range(_SCALES)]
    up = [(_WIDTH, 2 * _WIDTH, 3)] * (_SCALES - 1)
    weights = []
    for place, (outputs, inputs, side) in enumerate([*down, *up, (channels, _WIDTH, 1)]):
        drawn = random.normal(outputs, inputs, side, side, stream=("weights", place), dtype=dtype)[0]
        weights.append((drawn * (2 / (inputs * side * side)) ** 0.5).requires_grad_(True))
    return weights


def _network(inputs: Tensor, weights: list[Tensor]) -> Tensor:
    down, up, last = weights[:_SCALES], weights[_SCALES:-1], weights[-1]
    levels, current = [], inputs
    for scale, weight in enumerate(down):
        current = _layer(current if scale == 0 else F.avg_pool2d(current, 2, ceil_mode=True), weight)
        levels.append(current)
    for weight, level in zip(up, reversed(levels[:-1]), strict=True):
        wide = F.interpolate(current, size=level.shape[2:], mode="bilinear", align_corners=False)
        current = _layer(torch.cat([wide, level], 1), weight)
    return torch.sigmoid(F.conv2d(current, last))


def _layer(inputs: Tensor, weight: Tensor) -> Tensor:
    mixed = F.conv2d(F.pad(inputs, [1] * 4, mode="replicate"), weight)
    return F.leaky_relu(F.instance_norm(mixed), 0.1)
