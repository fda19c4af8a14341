"""How much a network multiplies: the size of work, known before it is done."""

from __future__ import annotations

from typing import Any

import torch
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
    return counter.operations // 2


class _Counter(TorchDispatchMode):
    """Add up the operations of products by torch's own formulas, as its `FlopCounterMode` does."""

    def __init__(self) -> None:
        from torch.utils.flop_counter import FlopCounterMode  # with triton, where that is installed: a second

        super().__init__()
        self.formulas, self.operations = FlopCounterMode(display=False).flop_registry, 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # To keep the compiler off it torch would import the compiler: two seconds of every program's first sweep.
        return False

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        options = options or {}
        formula = self.formulas.get(function._overloadpacket)
        if formula is None:
            with self:
                parts = function.decompose(*arguments, **options)
            if parts is not NotImplemented:
                return parts
        found = function(*arguments, **options)
        if formula is not None:
            self.operations += int(formula(*arguments, **options, out_val=found))
        return found
