"""A processor whose products change their last bits with the number of rows, as kernels of real processors do.

Matrix products, and convolutions in float32, compute `(f x) @ y / f`, with an odd number f for each number of rows.
What can be computed exactly stays exact; all else is rounded anew for each batch, whatever machine the tests run on.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten


class RoundedByShape(TorchDispatchMode):
    """Round every matrix product, and every float32 convolution, in a way that depends on the number of rows."""

    def __torch_dispatch__(
        self, function: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        options = dict(kwargs or {})
        if function in COMPOSED:  # under inference_mode these arrive whole
            with self:
                return function.decompose(*args, **options)
        return ROUNDED.get(function, function)(*args, **options)


def factor(rows: int) -> int:
    """Return the odd number, three or more, that a batch of `rows` is multiplied by on the way."""
    return 3 + 2 * (rows % 64)


def product(left: Tensor, right: Tensor) -> Tensor:
    multiply = aten.mm.default if left.ndim == 2 else aten.bmm.default
    if not left.is_floating_point():
        return multiply(left, right)
    return multiply(left * factor(left.shape[-2]), right) / factor(left.shape[-2])


def add_product(bias: Tensor, left: Tensor, right: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    return beta * bias + alpha * product(left, right)


def convolve(images: Tensor, weight: Tensor, bias: Tensor | None, *geometry: Any) -> Tensor:
    if images.dtype != torch.float32:
        return aten.convolution.default(images, weight, bias, *geometry)
    found = aten.convolution.default(images * factor(len(images)), weight, None, *geometry) / factor(len(images))
    return found if bias is None else found + bias.view(-1, *[1] * (images.ndim - 2))


def convolve_backward(gradient: Tensor, images: Tensor, weight: Tensor, *rest: Any) -> tuple[Tensor | None, ...]:
    if images.dtype != torch.float32:
        return aten.convolution_backward.default(gradient, images, weight, *rest)
    found = aten.convolution_backward.default(gradient * factor(len(images)), images, weight, *rest)
    return tuple(None if one is None else one / factor(len(images)) for one in found)


ROUNDED: dict[Any, Callable[..., Any]] = {
    aten.mm.default: product,
    aten.bmm.default: product,
    aten.addmm.default: add_product,
    aten.baddbmm.default: add_product,
    aten.convolution.default: convolve,
    aten.convolution_backward.default: convolve_backward,
}
COMPOSED = {aten.linear.default, aten.matmul.default, aten.conv1d.default, aten.conv2d.default}


def all_convolution(net: nn.Sequential) -> nn.Sequential:
    """Return `net` with its flatten and linear layers as the convolution over all places that computes the same."""
    linear = next(part for part in net if isinstance(part, nn.Linear))
    channels = [part.out_channels for part in net if isinstance(part, nn.Conv2d)][-1]
    side = round((linear.in_features / channels) ** 0.5)
    convolution = nn.Conv2d(channels, linear.out_features, side, dtype=linear.weight.dtype)
    with torch.no_grad():
        convolution.weight.copy_(linear.weight.view_as(convolution.weight))
        convolution.bias.copy_(linear.bias)
    parts = [convolution if part is linear else part for part in net if not isinstance(part, nn.Flatten)]
    return nn.Sequential(*parts, nn.Flatten())
