"""The layers and functions that bounds are known for: affine maps, ReLU, and maxima over windows."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Known:
    """How an operation is computed, and what it makes of radii."""

    kind: Literal["affine", "relu", "max"]
    apply: Callable[..., Tensor]
    spread: Callable[..., Tensor]


_RELU = Known("relu", F.relu, F.relu)


def known_layer(module: nn.Module) -> Known | None:
    """Return how a module of one layer is computed in evaluation mode, or None where no bounds are known.

    >>> known_layer(nn.Tanh()) is None, known_layer(nn.ReLU()).kind
    (True, 'relu')
    """
    make = _LAYERS.get(type(module))
    return None if make is None else make(module)


def flattening() -> Known:
    """Return how each picture's values are laid out in one row.

    >>> flattening().apply(torch.zeros(2, 3, 4)).shape
    torch.Size([2, 12])
    """
    return _monotone(lambda values: values.flatten(1))


def _monotone(function: Callable[..., Tensor]) -> Known:
    """Describe an affine map without negative weights or bias, which maps radii as it maps values."""
    return Known("affine", function, function)


def _linear(layer: Any) -> Known:
    return Known("affine", layer.forward, lambda radius: F.linear(radius, layer.weight.abs()))


def _convolution(layer: Any) -> Known | None:
    if layer.padding_mode != "zeros":
        return None

    def spread(radius: Tensor) -> Tensor:
        return F.conv2d(radius, layer.weight.abs(), None, layer.stride, layer.padding, layer.dilation, layer.groups)

    return Known("affine", layer.forward, spread)


def _batch_norm(layer: Any) -> Known | None:
    if layer.running_mean is None:
        return None  # it normalizes by the batch it is in: there is no function of one picture

    def scale(values: Tensor) -> Tensor:
        factor = (layer.running_var + layer.eps).rsqrt()
        factor = factor if layer.weight is None else factor * layer.weight
        return factor.view(1, -1, *[1] * (values.ndim - 2))

    def apply(values: Tensor) -> Tensor:
        shape = (1, -1, *[1] * (values.ndim - 2))
        moved = (values - layer.running_mean.view(shape)) * scale(values)
        return moved if layer.bias is None else moved + layer.bias.view(shape)

    return Known("affine", apply, lambda radius: radius * scale(radius).abs())


def _maximum(layer: Any) -> Known | None:
    if layer.return_indices:
        return None
    return Known("max", layer.forward, layer.forward)


def _dropout(layer: Any) -> Known:
    return _monotone(lambda values: values)


_LAYERS: Mapping[type[nn.Module], Callable[[Any], Known | None]] = {
    nn.Linear: _linear,
    nn.Conv2d: _convolution,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.ReLU: lambda layer: _RELU,
    nn.MaxPool2d: _maximum,
    nn.AvgPool2d: lambda layer: _monotone(layer.forward),
    nn.AdaptiveAvgPool2d: lambda layer: _monotone(layer.forward),
    nn.Flatten: lambda layer: _monotone(layer.forward),
    nn.Identity: _dropout,
    nn.Dropout: _dropout,
    nn.Dropout2d: _dropout,
}


Make = Callable[[int, Sequence[Any], Mapping[str, Any]], Known | None]


def _sum(tensors: int, rest: Sequence[Any], options: Mapping[str, Any]) -> Known | None:
    return _monotone(torch.add) if tensors == 2 and not rest and not options else None


def _called(function: Callable[..., Tensor]) -> Make:
    """Describe a function of one tensor and of numbers, without negative weights; a shape may be given as a tuple."""

    def make(tensors: int, rest: Sequence[Any], options: Mapping[str, Any]) -> Known | None:
        shape = [tuple(rest)] if function is torch.reshape and not isinstance(rest[0], tuple) else rest
        return _monotone(lambda values: function(values, *shape, **options)) if tensors == 1 else None

    return make


def _relu(tensors: int, rest: Sequence[Any], options: Mapping[str, Any]) -> Known | None:
    return _RELU if tensors == 1 else None


def _maxima(tensors: int, rest: Sequence[Any], options: Mapping[str, Any]) -> Known | None:
    def apply(values: Tensor) -> Tensor:
        return F.max_pool2d(values, *rest, **options)

    return Known("max", apply, apply) if tensors == 1 and not options.get("return_indices") else None


FUNCTIONS: Mapping[Any, Make] = {
    operator.add: _sum,
    operator.iadd: _sum,
    torch.add: _sum,
    torch.flatten: _called(torch.flatten),
    torch.mean: _called(torch.mean),
    torch.relu: _relu,
    F.relu: _relu,
    F.adaptive_avg_pool2d: _called(F.adaptive_avg_pool2d),
    F.avg_pool2d: _called(F.avg_pool2d),
    F.max_pool2d: _maxima,
}
METHODS: Mapping[Any, Make] = {
    "add": _sum,
    "flatten": _called(torch.flatten),
    "mean": _called(torch.mean),
    "relu": _relu,
    "reshape": _called(torch.reshape),
    "view": _called(torch.reshape),
}
