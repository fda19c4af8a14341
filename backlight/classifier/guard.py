"""Leave a module exactly as it was.

Explaining or attacking a model must not train it, thaw it, or switch its mode. Inside the guard every
submodule is in evaluation mode and every parameter is frozen; afterwards, also after an exception, modes,
`requires_grad`, `.grad` and buffers are what they were before.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def untouched(module: nn.Module) -> Iterator[nn.Module]:
    """Hold `module` in evaluation mode with frozen parameters and restore it exactly on the way out.

    >>> net = nn.Sequential(nn.Linear(2, 2), nn.Dropout()).train()
    >>> with untouched(net):
    ...     (net.training, net[0].weight.requires_grad)
    (False, False)
    >>> (net.training, net[0].weight.requires_grad)
    (True, True)
    """
    modes = [(part, part.training) for part in module.modules()]
    parameters = [(parameter, parameter.requires_grad, parameter.grad) for parameter in module.parameters()]
    buffers = [
        (part, name, buffer, buffer.detach().clone())
        for part in module.modules()
        for name, buffer in part._buffers.items()
        if buffer is not None
    ]
    try:
        for part, _ in modes:
            # Not part.train(False): overridden train() methods may do more than set the flag.
            part.training = False
        for parameter, _, _ in parameters:
            parameter.requires_grad_(False)
        yield module
    finally:
        for part, mode in modes:
            part.training = mode
        for parameter, required, gradient in parameters:
            parameter.requires_grad_(required)
            if parameter.grad is not gradient:
                parameter.grad = gradient
        for part, name, buffer, saved in buffers:
            part._buffers[name] = buffer
            _restore(buffer, saved)


def _restore(buffer: Tensor, saved: Tensor) -> None:
    with torch.no_grad(), torch.inference_mode(buffer.is_inference()):
        if not torch.equal(buffer, saved):
            buffer.copy_(saved)
