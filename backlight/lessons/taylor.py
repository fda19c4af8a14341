"""A sine made of multiplications, which automatic differentiation turns into a cosine."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backlight.core.errors import InputError


@dataclass(frozen=True)
class SineDerivative:
    """Hold a Taylor sine, its automatic derivative, and the cosine it should be.

    >>> derivative_of_sine(torch.tensor(torch.pi / 4, dtype=torch.float64)).largest_error < 1e-12
    True
    """

    x: Tensor
    value: Tensor
    derivative: Tensor
    cosine: Tensor

    @property
    def largest_error(self) -> float:
        """Return the largest distance between derivative and cosine."""
        return float((self.derivative - self.cosine).abs().max())


def sin_taylor(x: Tensor, terms: int = 12) -> Tensor:
    """Sum the first `terms` of x - x³/3! + x⁵/5! - ..., for `x` in radians of any shape.

    The error is at most |x|^(2 terms + 1) / (2 terms + 1)!, the first term left out. Raises `InputError`
    unless `terms` is at least 1 and `x` is floating point.

    >>> round(sin_taylor(torch.tensor(torch.pi / 6)).item(), 6)
    0.5
    """
    if terms < 1:
        raise InputError(f"terms is {terms}", expected="at least 1")
    if not x.is_floating_point():
        raise InputError(f"x is {x.dtype}", expected="a floating-point tensor", hint="x.float()")
    term = total = x
    for k in range(1, terms):
        term = -term * x * x / ((2 * k) * (2 * k + 1))
        total = total + term
    return total


def derivative_of_sine(x: Tensor, terms: int = 12) -> SineDerivative:
    """Differentiate `sin_taylor` at every value of `x` by automatic differentiation.

    >>> found = derivative_of_sine(torch.tensor([0.0, torch.pi]))
    >>> [round(d, 4) for d in found.derivative.tolist()]
    [1.0, -1.0]
    """
    with torch.inference_mode(False), torch.enable_grad():
        point = x.detach().clone().requires_grad_()
        value = sin_taylor(point, terms)
        (derivative,) = torch.autograd.grad(value.sum(), point)
    return SineDerivative(x.detach(), value.detach(), derivative, x.detach().cos())
