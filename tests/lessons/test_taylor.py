"""The Taylor sine and its automatic derivative, against closed forms."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck

from backlight.core.errors import InputError
from backlight.lessons import derivative_of_sine, sin_taylor


@settings(deadline=None)
@given(st.floats(-6, 6), st.integers(1, 15))
def test_error_is_below_the_first_term_left_out(x, terms):
    value = sin_taylor(torch.tensor(x, dtype=torch.float64), terms).item()
    bound = abs(x) ** (2 * terms + 1) / math.factorial(2 * terms + 1)
    assert abs(value - math.sin(x)) <= bound + 1e-12


def test_the_derivative_is_the_cosine_with_as_many_terms():
    x = torch.linspace(-3, 3, 11, dtype=torch.float64)
    found = derivative_of_sine(x, terms=3)
    torch.testing.assert_close(found.derivative, 1 - x**2 / 2 + x**4 / 24)
    torch.testing.assert_close(found.value, x - x**3 / 6 + x**5 / 120)
    assert found.largest_error == pytest.approx(float((1 - x**2 / 2 + x**4 / 24 - x.cos()).abs().max()))
    assert gradcheck(sin_taylor, x.clone().requires_grad_())


def test_at_a_quarter_pi():
    found = derivative_of_sine(torch.tensor(math.pi / 4, dtype=torch.float64))
    assert found.derivative.item() == pytest.approx(math.sqrt(0.5), abs=1e-15)
    assert found.cosine.item() == pytest.approx(math.sqrt(0.5), abs=1e-15)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_works_without_gradients_around_it(mode):
    with mode():
        assert derivative_of_sine(torch.zeros(3)).derivative.tolist() == [1, 1, 1]


def test_messages():
    with pytest.raises(InputError, match="terms is 0"):
        sin_taylor(torch.zeros(1), 0)
    with pytest.raises(InputError, match=r"x is torch.int64.*try: x.float\(\)"):
        sin_taylor(torch.arange(3))
