"""Adversarial weight perturbation (Wu et al. 2020): the gradient is taken where the loss is worse nearby."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def perturbed(module: nn.Module, size: float) -> Iterator[None]:
    """Move every matrix and filter along its gradient by `size` of its own norm, and put it back, bit by bit.

    The gradients that it moves along are let go: inside, a step's own can be summed. The optimizer moves the weights
    afterwards from where they were, so that weight decay knows nothing of it (arXiv:2004.05884).

    >>> net = nn.Linear(2, 1, bias=False)
    >>> before = net.weight.detach().clone()
    >>> net(torch.ones(1, 2)).sum().backward()
    >>> with perturbed(net, 0.01):
    ...     far = (net.weight.detach() - before).norm() / before.norm()
    >>> round(float(far), 4), torch.equal(net.weight, before)
    (0.01, True)
    """
    held = [(one, one.detach().clone()) for one in module.parameters() if one.requires_grad and _perturbable(one)]
    try:
        with torch.no_grad():
            for one, before in held:
                assert one.grad is not None
                length = one.grad.norm().clamp(min=torch.finfo(one.dtype).tiny)
                one.add_(one.grad * (size * before.norm() / length))
        module.zero_grad()
        yield
    finally:
        with torch.no_grad():
            for one, before in held:
                one.copy_(before)


def _perturbable(parameter: nn.Parameter) -> bool:
    """Whether it is a matrix or filter, not a bias or a normalization, and the loss depended on it."""
    return parameter.ndim > 1 and parameter.grad is not None
