"""A 2-D convolution written out, with its own derivatives of every order: a drop-in for `nn.Conv2d`.

Convolution, its input gradient and its weight gradient are each linear in both arguments, and each one's
derivatives are the other two. Three small autograd functions that call each other therefore give the
gradient, the gradient of the gradient, and so on.
"""

from __future__ import annotations

import copy
from itertools import chain
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from backlight.layers import columns
from backlight.layers.columns import Geometry
from backlight.layers.conv2d_check import check_convolution, read_geometry


class Convolution(torch.autograd.Function):
    """Compute output(images, weight, bias); saves its arguments and no columns.

    >>> geometry = Geometry((2, 2), (1, 1), (0, 0), (1, 1), groups=1)
    >>> Convolution.apply(torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 2), None, geometry).item()
    4.0
    """

    @staticmethod
    def forward(images: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
        return columns.convolve(images, weight, bias, geometry)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        images, weight, _, ctx.geometry = inputs
        ctx.save_for_backward(images, weight)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = grad_outputs
        images, weight = ctx.saved_tensors
        needs = ctx.needs_input_grad
        return (
            InputGradient.apply(grad, weight, ctx.geometry, images.shape) if needs[0] else None,
            WeightGradient.apply(grad, images, ctx.geometry, weight.shape) if needs[1] else None,
            grad.sum((0, 2, 3)) if needs[2] else None,
            None,
        )


class InputGradient(torch.autograd.Function):
    """Compute grad_images(grad_output, weight).

    >>> geometry = Geometry((2, 2), (1, 1), (0, 0), (1, 1), groups=1)
    >>> InputGradient.apply(torch.ones(1, 1, 1, 1), torch.ones(1, 1, 2, 2), geometry, (1, 1, 2, 2)).sum().item()
    4.0
    """

    @staticmethod
    def forward(grad: Tensor, weight: Tensor, geometry: Geometry, shape: torch.Size) -> Tensor:
        return columns.input_gradient(grad, weight, geometry, shape)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        grad, weight, ctx.geometry, _ = inputs
        ctx.save_for_backward(grad, weight)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        (images,) = grad_outputs  # a cotangent of grad_images, which has the images' shape
        grad, weight = ctx.saved_tensors
        needs = ctx.needs_input_grad
        return (
            Convolution.apply(images, weight, None, ctx.geometry) if needs[0] else None,
            WeightGradient.apply(grad, images, ctx.geometry, weight.shape) if needs[1] else None,
            None,
            None,
        )


class WeightGradient(torch.autograd.Function):
    """Compute grad_weight(grad_output, images).

    >>> geometry = Geometry((2, 2), (1, 1), (0, 0), (1, 1), groups=1)
    >>> WeightGradient.apply(torch.ones(1, 1, 1, 1), torch.ones(1, 1, 2, 2), geometry, (1, 1, 2, 2)).sum().item()
    4.0
    """

    @staticmethod
    def forward(grad: Tensor, images: Tensor, geometry: Geometry, shape: torch.Size) -> Tensor:
        return columns.weight_gradient(grad, images, geometry, shape)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        grad, images, ctx.geometry, _ = inputs
        ctx.save_for_backward(grad, images)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        (weight,) = grad_outputs  # a cotangent of grad_weight, which has the weight's shape
        grad, images = ctx.saved_tensors
        needs = ctx.needs_input_grad
        return (
            Convolution.apply(images, weight, None, ctx.geometry) if needs[0] else None,
            InputGradient.apply(grad, weight, ctx.geometry, images.shape) if needs[1] else None,
            None,
            None,
        )


def unfold_conv2d(
    images: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] | str = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve like `F.conv2d`, with the same arguments, by matrix products over columns.

    `images` are `[B, C, H, W]` or `[C, H, W]`; `padding` may be "same" or "valid". Gradients of any order;
    follows autocast. Raises `InputError` with both shapes for arguments that do not fit each other.

    >>> images, weight = torch.randn(2, 4, 7, 7), torch.randn(6, 2, 3, 3)
    >>> ours = unfold_conv2d(images, weight, stride=2, padding=1, groups=2)
    >>> torch.allclose(ours, F.conv2d(images, weight, stride=2, padding=1, groups=2), atol=1e-5)
    True
    """
    if images.ndim == 3:
        return unfold_conv2d(images[None], weight, bias, stride, padding, dilation, groups)[0]
    images, weight, bias = _autocast(images, weight, bias)
    geometry, extra = read_geometry(images, weight, stride, padding, dilation, groups)
    check_convolution(images, weight, bias, geometry)
    if any(extra):
        images = F.pad(images, (0, extra[1], 0, extra[0]))
    return Convolution.apply(images, weight, bias, geometry)


def _autocast(*given: Tensor | None) -> tuple[Any, ...]:
    """Cast as autocast casts for `F.conv2d`: float64 stays."""
    device = next(tensor.device.type for tensor in given if tensor is not None)
    if not (torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)):
        return given
    dtype = torch.get_autocast_dtype(device)
    return tuple(t if t is None or t.dtype == torch.float64 else t.to(dtype) for t in given)


class UnfoldConv2d(nn.Conv2d):
    """Replace `nn.Conv2d` by the written-out convolution: same arguments, parameters and state dict.

    >>> layer = UnfoldConv2d(3, 8, 3, padding="same", padding_mode="reflect")
    >>> layer(torch.zeros(2, 3, 5, 5)).shape
    torch.Size([2, 8, 5, 5])
    """

    def forward(self, images: Tensor) -> Tensor:
        """Map `[B, C, H, W]` or `[C, H, W]` to the convolution's output."""
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            images = F.pad(images, self._reversed_padding_repeated_twice, mode=self.padding_mode)
            padding = 0
        stride: Any = self.stride
        dilation: Any = self.dilation
        return unfold_conv2d(images, self.weight, self.bias, stride, padding, dilation, self.groups)


def replace_conv(module: nn.Module, kind: type[nn.Conv2d] = UnfoldConv2d) -> nn.Module:
    """Copy a network with every plain convolution replaced by `kind`; the weights are shared, not copied.

    Training either network trains both. `replace_conv(network, nn.Conv2d)` converts back. The given network
    is left as it was; subclasses of `nn.Conv2d` with a forward of their own stay what they are.

    >>> network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    >>> twin = replace_conv(network)
    >>> type(twin[0]).__name__, twin[0].weight is network[0].weight
    ('UnfoldConv2d', True)
    """
    shared = {id(tensor): tensor for tensor in chain(module.parameters(), module.buffers())}
    twin = copy.deepcopy(module, shared)
    source = nn.Conv2d if kind is not nn.Conv2d else UnfoldConv2d
    if type(twin) is source:
        return _as_kind(twin, kind)
    replaced: dict[nn.Module, nn.Module] = {}
    for name, layer in list(twin.named_modules(remove_duplicate=False)):
        if type(layer) is source:
            if layer not in replaced:
                replaced[layer] = _as_kind(layer, kind)
            twin.set_submodule(name, replaced[layer])
    return twin


def _as_kind(layer: nn.Conv2d, kind: type[nn.Conv2d]) -> nn.Conv2d:
    """Make the same convolution of another class around the same weight and bias."""
    options: Any = {
        name: getattr(layer, name) for name in ("stride", "padding", "dilation", "groups", "padding_mode")
    } | {"bias": layer.bias is not None, "device": "meta"}
    twin = kind(layer.in_channels, layer.out_channels, (layer.kernel_size[0], layer.kernel_size[1]), **options)
    twin.weight, twin.bias = layer.weight, layer.bias
    return twin.train(layer.training)
