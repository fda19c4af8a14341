"""The layers and functions that bounds are known for: affine maps, ReLU, and maxima over windows."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from backlight.bounds.statistics import Statistics, running

BATCH_SIZE = object()
"""Stands in a shape for how many pictures there are."""


@dataclass(frozen=True)
class Known:
    """How an operation is computed, and what it makes of radii.

    `alias` says that its output lies in the memory of its first input, `in_place` that it overwrites what lay there.
    """

    kind: Literal["affine", "relu", "max"]
    apply: Callable[..., Tensor]
    spread: Callable[..., Tensor]
    alias: bool = False
    in_place: bool = False


def known_layer(module: nn.Module, statistics: Statistics = running) -> Known | str:
    """Return how a module of one layer is computed in evaluation mode, or what it is where no bounds are known.

    A BatchNorm normalizes by what `statistics` give for it.

    >>> known_layer(nn.Tanh()), known_layer(nn.ReLU()).kind
    ('Tanh', 'relu')
    """
    name = type(module).__name__
    make = _LAYERS.get(type(module))
    if make is None:
        return name
    if "forward" in vars(module):
        return f"{name} with a forward of its own"
    found = _batch_norm(module, statistics) if isinstance(module, _BatchNorm) else make(module)
    return f"{name} {found}" if isinstance(found, str) else found


def _relu(in_place: bool) -> Known:
    return Known("relu", F.relu, F.relu, alias=in_place, in_place=in_place)


def _monotone(function: Callable[..., Tensor], *, alias: bool = False, in_place: bool = False) -> Known:
    """Describe an affine map without negative weights or bias, which maps radii as it maps values."""
    return Known("affine", function, function, alias, in_place)


def _itself() -> Known:
    return _monotone(lambda values: values, alias=True)


def _linear(layer: Any) -> Known:
    return Known("affine", layer.forward, lambda radius: F.linear(radius, layer.weight.abs()))


def _convolution(layer: Any) -> Known | str:
    if layer.padding_mode != "zeros":
        return f"with padding_mode {layer.padding_mode!r}"

    def spread(radius: Tensor) -> Tensor:
        return F.conv2d(radius, layer.weight.abs(), None, layer.stride, layer.padding, layer.dilation, layer.groups)

    return Known("affine", layer.forward, spread)


def _batch_norm(layer: Any, statistics: Statistics = running) -> Known | str:
    if layer.running_mean is None:
        return "that normalizes by the batch it is in"

    def scale(variance: Tensor) -> Tensor:
        factor = (variance + layer.eps).rsqrt()
        return factor if layer.weight is None else factor * layer.weight

    def apply(values: Tensor) -> Tensor:
        shape = (1, -1, *[1] * (values.ndim - 2))
        mean, variance = statistics(layer, values)
        moved = (values - mean.view(shape)) * scale(variance).view(shape)
        return moved if layer.bias is None else moved + layer.bias.view(shape)

    def spread(radius: Tensor) -> Tensor:
        return radius * scale(statistics(layer, None)[1]).abs().view(1, -1, *[1] * (radius.ndim - 2))

    return Known("affine", apply, spread)


def _maximum(layer: Any) -> Known | str:
    return "that returns indices" if layer.return_indices else Known("max", layer.forward, layer.forward)


def _average(layer: Any) -> Known | str:
    return _negative(layer.divisor_override) or _monotone(layer.forward)


def _negative(divisor: int | None) -> str:
    return "with a negative divisor_override" if divisor is not None and divisor < 0 else ""


def _flattened(layer: Any) -> Known | str:
    return _mixing(layer.start_dim) or _monotone(layer.forward, alias=True)


def _mixing(dimension: object) -> str:
    """Say what is wrong with a dimension that is the pictures' own; a negative one shows where the steps are run."""
    return "over the pictures of a batch" if dimension is None or dimension == 0 else ""


_LAYERS: Mapping[type[nn.Module], Callable[[Any], Known | str]] = {
    nn.Linear: _linear,
    nn.Conv2d: _convolution,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.ReLU: lambda layer: _relu(layer.inplace),
    nn.MaxPool2d: _maximum,
    nn.AvgPool2d: _average,
    nn.AdaptiveAvgPool2d: lambda layer: _monotone(layer.forward),
    nn.Flatten: _flattened,
    nn.Identity: lambda layer: _itself(),
    nn.Dropout: lambda layer: _itself(),
    nn.Dropout2d: lambda layer: _itself(),
}


Make = Callable[[Sequence[Any], Mapping[str, Any]], Known | str]
"""Describe a call of one tensor by its other arguments and its options."""


def known_sum(*, in_place: bool) -> Known:
    """Return how two tensors are added.

    >>> known_sum(in_place=True).alias
    True
    """
    return _monotone(torch.add, alias=in_place, in_place=in_place)


def _rectified(in_place: bool) -> Make:
    def make(rest: Sequence[Any], options: Mapping[str, Any]) -> Known | str:
        return _relu(in_place or any(rest) or bool(options.get("inplace")))

    return make


def _flat(rest: Sequence[Any], options: Mapping[str, Any]) -> Known | str:
    start = [*rest, options.get("start_dim", 0)][0]
    return _mixing(start) or _monotone(lambda values: torch.flatten(values, *rest, **options), alias=True)


def _mean(rest: Sequence[Any], options: Mapping[str, Any]) -> Known | str:
    over = [*rest, options.get("dim")][0]
    if "dtype" in options:
        return "in another precision"
    mixing = [_mixing(one) for one in (over if isinstance(over, (list, tuple)) and over else [over])]
    return "".join(mixing) or _monotone(lambda values: torch.mean(values, *rest, **options))


def _shaped(rest: Sequence[Any], options: Mapping[str, Any]) -> Known | str:
    """Describe a change of shape, given by numbers or as one list of them."""
    given = rest[0] if len(rest) == 1 and isinstance(rest[0], (list, tuple)) else rest
    if options or not all(one is BATCH_SIZE or isinstance(one, int) for one in given):
        return "to a shape that is worked out"

    def apply(values: Tensor) -> Tensor:
        return values.reshape([len(values) if one is BATCH_SIZE else one for one in given])

    return _monotone(apply, alias=True)


def _averages(rest: Sequence[Any], options: Mapping[str, Any]) -> Known | str:
    divisor = rest[5] if len(rest) > 5 else options.get("divisor_override")
    return _negative(divisor) or _monotone(lambda values: F.avg_pool2d(values, *rest, **options))


def _adaptive(rest: Sequence[Any], options: Mapping[str, Any]) -> Known | str:
    return _monotone(lambda values: F.adaptive_avg_pool2d(values, *rest, **options))


def _maxima(rest: Sequence[Any], options: Mapping[str, Any]) -> Known | str:
    if len(rest) > 5 or options.get("return_indices"):
        return "that returns indices"

    def apply(values: Tensor) -> Tensor:
        return F.max_pool2d(values, *rest, **options)

    return Known("max", apply, apply)


def _dropped(rest: Sequence[Any], options: Mapping[str, Any]) -> Known | str:
    training = rest[1] if len(rest) > 1 else options.get("training", True)
    return "that is always on" if training else _itself()


SUMS: Mapping[Any, bool] = {operator.add: False, torch.add: False, "add": False, operator.iadd: True, "add_": True}
"""The functions and methods that add two tensors, and whether they do so in place."""
CALLS: Mapping[Any, Make] = {
    torch.flatten: _flat,
    torch.mean: _mean,
    torch.relu: _rectified(in_place=False),
    torch.relu_: _rectified(in_place=True),
    torch.reshape: _shaped,
    F.relu: _rectified(in_place=False),
    F.adaptive_avg_pool2d: _adaptive,
    F.avg_pool2d: _averages,
    F.dropout: _dropped,
    F.max_pool2d: _maxima,
    "flatten": _flat,
    "mean": _mean,
    "relu": _rectified(in_place=False),
    "relu_": _rectified(in_place=True),
    "reshape": _shaped,
    "view": _shaped,
}
"""The functions, and by their names the methods, of one tensor."""
