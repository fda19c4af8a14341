"""Softmax, its Jacobian, and why explanations differentiate the logit.

With p = softmax(z), the three quantities one could explain for a class t have these gradients:

    logit        d z_t        = e_t                 only the class itself, never small
    probability  d p_t        = p_t (e_t - p)       vanishes when the model is sure, for or against
    loss         d (-log p_t) = p - e_t             vanishes when the model is right and sure

Probability and loss weigh the *other* classes by what the model makes of them, so their maps also show
evidence against rivals; and where they vanish, float32 leaves only rounding errors to look at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from backlight.core.errors import InputError

QUANTITIES = ("logit", "probability", "loss")


@dataclass(frozen=True)
class QuantityGradients:
    """Hold the gradients of the three quantities with respect to the same tensor, logits or images.

    >>> found = logit_gradients(torch.tensor([[2.0, 0.0]]), torch.tensor([0]))
    >>> found.logit
    tensor([[1., 0.]])
    """

    logit: Tensor
    probability: Tensor
    loss: Tensor

    def sizes(self) -> dict[str, Tensor]:
        """Return the l2 length of each gradient, `[B]` each.

        >>> sure = logit_gradients(torch.tensor([[20.0, 0.0]]), torch.tensor([0])).sizes()
        >>> sure["logit"].item(), sure["probability"].item() < 1e-8, sure["loss"].item() < 1e-8
        (1.0, True, True)
        """
        return {name: getattr(self, name).flatten(1).norm(dim=1) for name in QUANTITIES}


def softmax(logits: Tensor) -> Tensor:
    """Turn logits `[..., classes]` into probabilities, written out.

    The largest logit is subtracted first: the result is the same, and the exponential cannot overflow.

    >>> softmax(torch.tensor([1000.0, 1000.0]))
    tensor([0.5000, 0.5000])
    """
    powers = (logits - logits.amax(-1, keepdim=True)).exp()
    return powers / powers.sum(-1, keepdim=True)


def softmax_jacobian(logits: Tensor) -> Tensor:
    """Return d p_i / d z_j = p_i (1[i = j] - p_j), `[..., classes, classes]`.

    Symmetric, and every row sums to zero: adding a constant to all logits changes no probability.

    >>> softmax_jacobian(torch.zeros(2))
    tensor([[ 0.2500, -0.2500],
            [-0.2500,  0.2500]])
    """
    p = softmax(logits)
    return torch.diag_embed(p) - p[..., :, None] * p[..., None, :]


def logit_gradients(logits: Tensor, targets: Tensor) -> QuantityGradients:
    """Return the closed-form gradients of the three quantities for `targets` `[B]`, by logits `[B, classes]`.

    Raises `InputError` when shapes or class numbers do not fit.

    >>> logit_gradients(torch.zeros(1, 2), torch.tensor([1])).loss
    tensor([[ 0.5000, -0.5000]])
    """
    _check(logits, targets)
    p, chosen = softmax(logits), torch.zeros_like(logits).scatter_(1, targets[:, None], 1)
    return QuantityGradients(chosen, p.gather(1, targets[:, None]) * (chosen - p), p - chosen)


def input_gradients(logits_of: Callable[[Tensor], Tensor], images: Tensor, targets: Tensor) -> QuantityGradients:
    """Return the gradients of the three quantities by images `[B, C, H, W]`, in one forward pass.

    `logits_of` maps images to logits `[B, classes]` differentiably: a module, or a function around a
    `Classifier`. Nothing is left behind in its parameters.

    >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 3))
    >>> input_gradients(network, torch.zeros(2, 1, 2, 2), torch.tensor([0, 2])).logit.shape
    torch.Size([2, 1, 2, 2])
    """
    with torch.inference_mode(False), torch.enable_grad():
        point = images.detach().clone().requires_grad_()
        logits = logits_of(point)
        by_logits = logit_gradients(logits.detach(), targets)
        found = {
            name: torch.autograd.grad(logits, point, getattr(by_logits, name), retain_graph=True)[0]
            for name in QUANTITIES
        }
    return QuantityGradients(**found)


def _check(logits: Tensor, targets: Tensor) -> None:
    if logits.ndim != 2 or tuple(targets.shape) != (len(logits),):
        found = f"logits have shape {list(logits.shape)} and targets {list(targets.shape)}"
        raise InputError(found, expected="[B, classes] and [B]")
    if targets.is_floating_point() or targets.dtype == torch.bool:
        raise InputError(f"targets are {targets.dtype}", expected="class numbers, torch.int64")
    if len(targets) and not (int(targets.min()) >= 0 and int(targets.max()) < logits.shape[1]):
        found = f"targets reach from {int(targets.min())} to {int(targets.max())}"
        raise InputError(found, expected=f"classes 0 to {logits.shape[1] - 1}")
