"""What a classifier makes of what it is given: any callable a module, one number per channel."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from backlight.classifier.hidden import hidden_modules
from backlight.core.errors import BacklightError, InputError, ModelError


class Function(nn.Module):
    """Return a plain callable the shape of a module; the modules that it runs become its own, by their names."""

    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.function = function
        self.found = tuple(hidden_modules(function).items())
        for name, module in self.found:
            self.add_module(name if not hasattr(self, name) else f"{name}_", module)

    def forward(self, images: Tensor) -> Any:
        return self.function(images)

    def __deepcopy__(self, memo: dict[int, Any]) -> Function:
        function = copy.deepcopy(self.function, memo)
        if function is self.function and self.found:
            # Python copies no function: the copy would run the original's modules.
            raise ModelError(
                f"the model is a function around {', '.join(repr(name) for name, _ in self.found)}, of which no copy "
                "can be made",
                expected="an nn.Module, for what changes or trains a copy",
                hint="a class that calls it in forward(self, images)",
            )
        return Function(function)


def copy_of(module: nn.Module) -> nn.Module:
    """Return a deep copy of a module.

    Raises ModelError for a module that cannot be copied.

    >>> net = nn.Linear(2, 2)
    >>> copy_of(net) is net
    False
    """
    try:
        return copy.deepcopy(module)
    except BacklightError:
        raise
    except Exception as error:
        raise ModelError(
            f"no copy of {type(module).__name__} can be made ({type(error).__name__}: {error})",
            expected="a module that copy.deepcopy takes, for what changes or trains a copy",
        ) from error


def as_module(module: nn.Module | Callable[[Tensor], Any]) -> nn.Module:
    """Return a plain callable the shape of a module; of a compiled or parallel one return the module inside.

    Raises ModelError for what cannot be called.

    >>> as_module(torch.relu)(torch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    if not isinstance(module, nn.Module):
        if not callable(module):
            raise ModelError(
                f"{type(module).__name__} is not callable", expected="a module or function: images to logits"
            )
        return Function(module)
    # Whoever compiled a module has imported this, which takes seconds; nobody else has to.
    if "torch._dynamo" in sys.modules and isinstance(module, torch._dynamo.OptimizedModule):
        return as_module(module._orig_mod)
    if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
        return as_module(module.module)
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
