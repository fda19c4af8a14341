"""The banded matrix against F.conv1d and autograd, in float64."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from backlight.core.errors import InputError
from backlight.layers.conv1d import (
    BOUNDARIES,
    conv1d_forward,
    conv1d_gradients,
    conv1d_matrix,
    conv1d_taps,
)

TORCH_MODES = {"zero": "constant", "reflect": "reflect", "circular": "circular", "replicate": "replicate"}


def draw(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=torch.float64, generator=generator).requires_grad_()


def torch_conv1d(signal, weight, padding, stride, dilation):
    reach = dilation * (len(weight) // 2)
    padded = F.pad(signal[:, None], (reach, reach), mode=TORCH_MODES[padding])
    return F.conv1d(padded, weight[None, None], stride=stride, dilation=dilation)[:, 0]


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(BOUNDARIES),
    st.integers(0, 3),
    st.integers(1, 12),
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(1, 3),
)
def test_forward_and_gradients_equal_autograd(padding, half, n, batch, stride, dilation):
    reach = half * dilation
    if reach > {"reflect": n - 1, "circular": n}.get(padding, reach):
        with pytest.raises(InputError, match=f"reaches {reach} beyond the ends"):
            conv1d_matrix(torch.ones(2 * half + 1), n, padding, stride=stride, dilation=dilation)
        return
    options = {"stride": stride, "dilation": dilation}
    weight, signal = draw(2 * half + 1), draw(batch, n, seed=1)
    expected = torch_conv1d(signal, weight, padding, **options)
    matrix = conv1d_matrix(weight, n, padding, **options)
    torch.testing.assert_close(conv1d_forward(matrix, signal), expected)
    arriving = draw(*expected.shape, seed=2).detach()
    found = conv1d_gradients(weight.detach(), signal.detach(), arriving, padding, **options)
    grads = torch.autograd.grad(expected, (signal, weight), arriving)
    torch.testing.assert_close((found.signal, found.weight), grads)


@pytest.mark.parametrize("padding", BOUNDARIES)
def test_gradcheck_through_the_matrix(padding):
    def run(weight, signal):
        return conv1d_forward(conv1d_matrix(weight, 6, padding, stride=2, dilation=2), signal)

    assert gradcheck(run, (draw(3), draw(2, 6, seed=1)))
    assert gradgradcheck(run, (draw(3), draw(2, 6, seed=1)))


@pytest.mark.parametrize(
    ("padding", "first", "last"),
    [
        ("zero", [3, 3, 0, 0, 0, 0], [0, 0, 0, 0, 3, 3]),
        ("reflect", [3, 6, 0, 0, 0, 0], [0, 0, 0, 0, 6, 3]),
        ("circular", [3, 3, 0, 0, 0, 3], [3, 0, 0, 0, 3, 3]),
        ("replicate", [6, 3, 0, 0, 0, 0], [0, 0, 0, 0, 3, 6]),
    ],
)
def test_the_textbook_matrix_cell_by_cell(padding, first, last):
    matrix = conv1d_matrix(torch.tensor([3.0, 3.0, 3.0]), 6, padding)
    band = [[3.0 if abs(i - j) <= 1 else 0.0 for j in range(6)] for i in range(1, 5)]
    assert matrix.tolist() == [first, *band, last]


def test_gradient_of_the_matrix_and_a_step_down():
    weight, signal = draw(3), draw(2, 6, seed=1)
    matrix = conv1d_matrix(weight, 6).detach().requires_grad_()
    cost = conv1d_forward(matrix, signal).square().sum()
    (expected,) = torch.autograd.grad(cost, matrix)
    arriving = 2 * conv1d_forward(matrix, signal).detach()
    found = conv1d_gradients(weight.detach(), signal.detach(), arriving)
    torch.testing.assert_close(found.matrix, expected)
    stepped = conv1d_matrix(weight - 1e-3 * found.weight, 6)
    assert conv1d_forward(stepped, signal).square().sum() < cost


def test_every_output_meets_every_tap_once_unless_zero():
    for padding in ("reflect", "circular", "replicate"):
        assert bool((conv1d_taps(5, 7, padding, stride=2).sum(2) == 1).all())
    assert conv1d_taps(5, 7, "zero").sum().item() == 5 * 7 - 2 * (1 + 2)


@pytest.mark.parametrize(
    ("weight", "n", "options", "words"),
    [
        (torch.ones(4), 6, {}, r"4 taps \(weight \[4\], signal \[6\].*odd number"),
        (torch.ones(3), 6, {"padding": "mirror"}, "padding is 'mirror'.*zero, reflect"),
        (torch.ones(3), 6, {"padding": "reflekt"}, "expected reflect"),
        (torch.ones(3), 6, {"stride": 0}, r"below 1 \(weight \[3\], signal \[6\], stride 0"),
        (torch.ones(3), 6, {"dilation": -1}, "dilation -1"),
        (torch.ones(2, 3), 6, {}, r"shape \[2, 3\] for a signal of 6"),
        (torch.ones(7), 3, {"padding": "reflect"}, "reaches 3 beyond the ends, reflect"),
    ],
)
def test_messages(weight, n, options, words):
    with pytest.raises(InputError, match=words):
        conv1d_matrix(weight, n, **options)


def test_mixed_dtypes_and_shapes():
    matrix = conv1d_matrix(torch.ones(3), 6)
    with pytest.raises(InputError, match=r"signals \[1, 6\] torch.float64, matrix \[6, 6\] torch.float32"):
        conv1d_forward(matrix, torch.ones(1, 6, dtype=torch.float64))
    with pytest.raises(InputError, match=r"signals \[1, 5\]"):
        conv1d_forward(matrix, torch.ones(1, 5))
    with pytest.raises(InputError, match=r"the gradient is \[1, 5\].*\[1, 6\]"):
        conv1d_gradients(torch.ones(3), torch.ones(1, 6), torch.ones(1, 5))
