"""Gradients of vectors by three ways, and numerical against automatic derivatives."""

import pytest
import torch
from torch import nn

from backlight.core.errors import InputError
from backlight.lessons import (
    compare_derivatives,
    gradient_by_ones,
    gradient_by_sum,
    numerical_gradient,
    vector_gradients,
)
from backlight.testing import unchanged

MATRIX = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], dtype=torch.float64)
POINT = torch.tensor([0.5, -1.0], dtype=torch.float64)


def test_sum_and_ones_give_the_column_sums_of_the_jacobian():
    def function(x):
        return (MATRIX @ x).sin()

    expected = torch.autograd.functional.jacobian(function, POINT).sum(0)
    found = vector_gradients(function, POINT)
    torch.testing.assert_close(found.by_sum, expected)
    torch.testing.assert_close(found.by_ones, expected)
    assert "scalar outputs" in found.backward_error
    assert torch.equal(gradient_by_sum(function, POINT), found.by_sum)
    assert torch.equal(gradient_by_ones(function, POINT), found.by_ones)


def test_backward_on_a_vector_raises_just_that_error_and_on_a_scalar_none():
    x = POINT.clone().requires_grad_()
    with pytest.raises(RuntimeError) as caught:
        x.sin().backward()
    assert vector_gradients(torch.sin, POINT).backward_error == str(caught.value)
    assert vector_gradients(lambda x: x.square().sum(), POINT).backward_error == ""


def test_a_failing_function_is_not_taken_for_the_lesson():
    with pytest.raises(RuntimeError, match="size"):
        vector_gradients(lambda x: x @ torch.zeros(3, dtype=torch.float64), POINT)


def test_numerical_equals_closed_form_also_on_strided_input():
    x = torch.arange(6.0, dtype=torch.float64).view(2, 3).T
    torch.testing.assert_close(numerical_gradient(lambda x: x**3, x), 3 * x**2, atol=1e-7, rtol=1e-7)


def test_error_falls_with_the_square_of_the_step_until_rounding_takes_over():
    x = torch.tensor([0.7], dtype=torch.float64)
    errors = [compare_derivatives(torch.exp, x, step).largest_error for step in (1e-1, 1e-2, 1e-13)]
    assert errors[0] / errors[1] == pytest.approx(100, rel=0.01)
    assert errors[2] > errors[1]


def test_a_wrong_derivative_is_seen():
    assert compare_derivatives(lambda x: x * x.detach(), POINT).largest_error > 0.4


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_network_and_the_input_are_left_as_they_were(mode):
    network = nn.Linear(2, 3).double()
    before = POINT.clone()
    with unchanged(network), mode():
        vector_gradients(network, POINT)
        compare_derivatives(network, POINT)
    assert torch.equal(POINT, before)
    assert POINT.grad is None


def test_messages():
    with pytest.raises(InputError, match="x is torch.float32"):
        numerical_gradient(torch.sin, torch.zeros(1))
    with pytest.raises(InputError, match="step is 0"):
        numerical_gradient(torch.sin, POINT, step=0)
