"""How much a network multiplies: the size of work, known before it is done."""

from __future__ import annotations

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

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
    from torch.utils.flop_counter import FlopCounterMode  # with triton, where that is installed: a second

    # Fused attention kernels hide their products from the counter: the plain backend shows them, and an image
    # that wants a gradient keeps nn.MultiheadAttention off its fused path.
    with torch.inference_mode(False), torch.enable_grad():
        image = torch.full((1, *shape), 0.5, device=classifier.device).requires_grad_()
        classifier.record(image.detach(), ("logits",))  # the first pass of all may be checked by another one
        try:
            with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
                classifier.record(image, ("logits",))
        except (RuntimeError, TypeError, NotImplementedError) as error:  # some scripted and quantized modules
            raise ModelError(f"the multiply-adds of {classifier.name} cannot be counted ({error})") from error
    return int(counter.get_total_flops()) // 2
