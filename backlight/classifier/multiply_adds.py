"""How much a network multiplies: the size of work, known before it is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

from backlight.classifier.classifier import Classifier
from backlight.core.errors import ModelError


def count_multiply_adds(classifier: Classifier, shape: tuple[int, ...]) -> int:
    """Count the multiplications of one forward pass of one image `[C,H,W]` of this shape.

    Those of convolutions, linear layers and the matrix products of attention; normalization, activation, pooling
    and addition are not counted.

    Raises ModelError for a module whose products cannot be seen.

    >>> from torch import nn
    >>> net = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    >>> count_multiply_adds(Classifier.from_module(net, size=4), (3, 4, 4)) == 4 * 4 * 5 * 3 * 3 * 3
    True
    """
    # Fused attention kernels hide their products from the counter: the plain backend shows them, and an image
    # that wants a gradient keeps nn.MultiheadAttention off its fused path.
    with torch.inference_mode(False), torch.enable_grad():
        image = torch.full((1, *shape), 0.5, device=classifier.device).requires_grad_()
        classifier.record(image.detach(), ("logits",))  # the first pass of all may be checked by another one
        try:
            with sdpa_kernel(SDPBackend.MATH), _Counter() as counter:
                classifier.record(image, ("logits",))
        except (RuntimeError, TypeError, NotImplementedError) as error:  # some scripted and quantized modules
            raise ModelError(f"the multiply-adds of {classifier.name} cannot be counted ({error})") from error
    return counter.products


def _of_matrices(found: Tensor, first: Tensor, *_: Any) -> int:
    return found.shape.numel() * first.shape[-1]


def _of_added_matrices(found: Tensor, added: Tensor, first: Tensor, *_: Any) -> int:
    return _of_matrices(found, first)


def _of_convolution(found: Tensor, images: Tensor, weight: Tensor, *options: Any) -> int:
    *_, transposed = options[:5]  # after bias, stride, padding, dilation
    # Each weight meets every place of the output once, of a transposed convolution every place of the input.
    places = (images if transposed else found).shape[2:]
    return images.shape[0] * places.numel() * weight.shape.numel()


_ATEN = torch.ops.aten
_FORMULAS: dict[Any, Callable[..., int]] = {
    **dict.fromkeys((_ATEN.mm, _ATEN.bmm, _ATEN._scaled_mm), _of_matrices),
    **dict.fromkeys((_ATEN.addmm, _ATEN.baddbmm), _of_added_matrices),
    **dict.fromkeys((_ATEN.convolution, _ATEN._convolution, _ATEN.cudnn_convolution), _of_convolution),
}


class _Counter(TorchDispatchMode):
    """Add up products.

    The formulas are those of torch's `FlopCounterMode`, which imports triton: a second and 75 MiB of every process.
    """

    def __init__(self) -> None:
        super().__init__()
        self.products = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # To keep the compiler off it torch would import the compiler: two seconds of every program's first sweep.
        return False

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        options = options or {}
        formula = _FORMULAS.get(function._overloadpacket)
        if formula is None:
            with self:
                parts = function.decompose(*arguments, **options)
            if parts is not NotImplemented:
                return parts
        found = function(*arguments, **options)
        if formula is not None:
            self.products += formula(found, *arguments)
        return found
