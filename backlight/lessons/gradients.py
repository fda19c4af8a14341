"""What a gradient of several outputs is, and how to see that it is right.

Reverse mode gives vᵀJ for one vector v in a single pass, never the Jacobian J itself. "The gradient of a
vector" therefore needs a v: the vector of ones adds the outputs up. Where each output depends on its own
input only, that sum is the derivative of each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from backlight.core.errors import InputError


@dataclass(frozen=True)
class VectorGradients:
    """Hold the same gradient by two ways, and what torch says about the third.

    >>> vector_gradients(torch.sin, torch.zeros(2)).by_sum
    tensor([1., 1.])
    """

    by_sum: Tensor
    by_ones: Tensor
    backward_error: str  # empty for a single output, where backward() needs no vector


@dataclass(frozen=True)
class DerivativeComparison:
    """Hold a derivative by central differences and by automatic differentiation.

    >>> compare_derivatives(torch.sin, torch.zeros(2, dtype=torch.float64)).largest_error < 1e-9
    True
    """

    numerical: Tensor
    automatic: Tensor
    step: float

    @property
    def largest_error(self) -> float:
        """Return the largest distance between the two."""
        return float((self.numerical - self.automatic).abs().max())


def gradient_by_sum(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Differentiate the sum of all outputs with respect to `x`.

    >>> gradient_by_sum(lambda x: x**2, torch.tensor([1.0, 2.0]))
    tensor([2., 4.])
    """
    return _pull_back(function, x, lambda output: (output.sum(), None))


def gradient_by_ones(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return vᵀJ for v = (1, ..., 1): the same numbers as the gradient of the sum.

    >>> gradient_by_ones(lambda x: x**2, torch.tensor([1.0, 2.0]))
    tensor([2., 4.])
    """
    return _pull_back(function, x, lambda output: (output, torch.ones_like(output)))


def vector_gradients(function: Callable[[Tensor], Tensor], x: Tensor) -> VectorGradients:
    """Differentiate a vector both ways, and record the error of `backward()` without a vector.

    >>> vector_gradients(torch.sin, torch.zeros(2)).backward_error
    'grad can be implicitly created only for scalar outputs'
    """
    error = ""
    try:
        _pull_back(function, x, lambda output: (output, None))
    except RuntimeError as refused:
        # The message is the lesson; any other failure of `function` shows again in the next line.
        error = str(refused)
    return VectorGradients(gradient_by_sum(function, x), gradient_by_ones(function, x), error)


def numerical_gradient(function: Callable[[Tensor], Tensor], x: Tensor, step: float = 1e-6) -> Tensor:
    """Estimate the gradient of the sum of all outputs by central differences of width 2 `step`.

    Two calls for each value of `x`. In float64 the error is about step² from the missing terms plus
    1e-16 / step from rounding, so neither large nor tiny steps are good. Raises `InputError` unless `x` is
    float64 and `step` is positive.

    >>> numerical_gradient(lambda x: x**2, torch.tensor([3.0], dtype=torch.float64)).round(decimals=6)
    tensor([6.], dtype=torch.float64)
    """
    if x.dtype != torch.float64:
        raise InputError(f"x is {x.dtype}", expected="float64: differences lose half the digits")
    if not step > 0:
        raise InputError(f"step is {step}", expected="a positive number")
    shifted = x.detach().reshape(-1).clone()
    gradient = torch.zeros_like(shifted)
    with torch.no_grad():
        for place, middle in enumerate(shifted.tolist()):
            shifted[place] = middle + step
            above = function(shifted.view_as(x)).sum()
            shifted[place] = middle - step
            below = function(shifted.view_as(x)).sum()
            shifted[place] = middle
            gradient[place] = (above - below) / (2 * step)
    return gradient.view_as(x)


def compare_derivatives(function: Callable[[Tensor], Tensor], x: Tensor, step: float = 1e-6) -> DerivativeComparison:
    """Compare the numerical with the automatic derivative of the sum of all outputs, in float64.

    >>> x = torch.linspace(-1, 1, 5, dtype=torch.float64)
    >>> compare_derivatives(lambda x: x.exp(), x, step=0.1).largest_error > 1e-3
    True
    """
    return DerivativeComparison(numerical_gradient(function, x, step), gradient_by_sum(function, x), step)


def _pull_back(
    function: Callable[[Tensor], Tensor],
    x: Tensor,
    choose: Callable[[Tensor], tuple[Tensor, Tensor | None]],
) -> Tensor:
    """Run reverse mode from what `choose` makes of the output; parameters of `function` get no `.grad`."""
    with torch.inference_mode(False), torch.enable_grad():
        point = x.detach().clone().requires_grad_()
        output, vector = choose(function(point))
        (gradient,) = torch.autograd.grad(output, point, vector)
    return gradient
