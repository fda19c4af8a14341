"""What a classifier makes of what it is given: any callable a module, one number per channel."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from backlight.errors import InputError, ModelError


class _Function(nn.Module):
    """Return a plain callable the shape of a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, images: Tensor) -> Tensor:
        return self.function(images)


def as_module(module: nn.Module | Callable[[Tensor], Tensor]) -> nn.Module:
    """Return a plain callable the shape of a module, and unwrap a compiled one.

    Raises ModelError for what cannot be called.

    >>> as_module(torch.relu)(torch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    if not isinstance(module, nn.Module):
        if not callable(module):
            raise ModelError(
                f"{type(module).__name__} is not callable", expected="a module or function: images to logits"
            )
        return _Function(module)
    if isinstance(module, torch._dynamo.OptimizedModule):
        return module._orig_mod
    return module


def per_channel(
    mean: float | Sequence[float], std: float | Sequence[float]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Repeat a single mean or deviation for every channel.

    Raises InputError where their numbers differ, or where a deviation is not above 0.

    >>> per_channel((0.1, 0.2, 0.3), 1)
    ((0.1, 0.2, 0.3), (1.0, 1.0, 1.0))
    """
    means = (float(mean),) if isinstance(mean, (int, float)) else tuple(float(value) for value in mean)
    stds = (float(std),) if isinstance(std, (int, float)) else tuple(float(value) for value in std)
    if len(stds) == 1:
        stds = stds * len(means)
    if len(means) == 1:
        means = means * len(stds)
    if len(means) != len(stds) or not means or min(stds) <= 0:
        raise InputError(f"mean {means} and std {stds}", expected="one value per channel, std above 0")
    return means, stds
