"""A 1-D convolution as one banded matrix, and its derivatives in matrix form.

A convolution is linear in the signal and in the kernel: y = M x with M = sum over taps of w[t] P[t], where
the 0/1 matrix P[t] says which input tap t meets at each output. For a cost C of y everything follows:
dC/dx = Mᵀ dC/dy, dC/dM = dC/dy xᵀ, and dC/dw[t] is the sum of dC/dM over the cells where P[t] is 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backlight.core.errors import InputError, did_you_mean

BOUNDARIES = ("zero", "reflect", "circular", "replicate")


@dataclass(frozen=True)
class Conv1dGradients:
    """Hold the derivatives of a cost C of y = M x.

    >>> Conv1dGradients(torch.zeros(1, 4), torch.zeros(4, 4), torch.zeros(3)).weight.shape
    torch.Size([3])
    """

    signal: Tensor  # [B, n], dC/dx
    matrix: Tensor  # [m, n], dC/dM as if every cell were free
    weight: Tensor  # [k], dC/dw


def conv1d_taps(
    k: int,
    n: int,
    padding: str = "zero",
    *,
    stride: int = 1,
    dilation: int = 1,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Place each of `k` taps: P `[k, m, n]`, with P[t, i, j] = 1 where tap t of output i meets input j.

    The kernel is centered on inputs 0, stride, 2 stride, ..., so m = ceil(n / stride). `padding` says what
    lies beyond the ends: "zero", "reflect" (without the end value), "circular" or "replicate". Raises
    `InputError` for an even k and for a reach that the boundary cannot fill.

    >>> conv1d_taps(3, 4)[0]
    tensor([[0., 0., 0., 0.],
            [1., 0., 0., 0.],
            [0., 1., 0., 0.],
            [0., 0., 1., 0.]])
    """
    _check(k, n, padding, stride, dilation)
    offsets = dilation * (torch.arange(k) - k // 2)
    places = torch.arange(0, n, stride)[None, :] + offsets[:, None]
    met = (places >= 0) & (places < n) if padding == "zero" else torch.ones_like(places, dtype=torch.bool)
    if padding == "circular":
        inputs = places % n
    elif padding == "reflect":
        inputs = places.abs()
        inputs = torch.where(inputs >= n, 2 * (n - 1) - inputs, inputs)
    else:
        inputs = places.clamp(0, n - 1)
    taps = torch.zeros(*places.shape, n, dtype=dtype)
    return taps.scatter_(2, inputs[..., None], met[..., None].to(taps.dtype))


def conv1d_matrix(weight: Tensor, n: int, padding: str = "zero", *, stride: int = 1, dilation: int = 1) -> Tensor:
    """Write the convolution of `n` values with `weight` `[k]` as a matrix M `[m, n]`: y = M x.

    Equal to `F.conv1d` with dilation * (k - 1) / 2 values of padding (a cross-correlation: the kernel is
    not flipped). Differentiable in `weight`. Arguments and errors as in `conv1d_taps`.

    >>> conv1d_matrix(torch.tensor([3.0, 3.0, 3.0]), 4, "circular")
    tensor([[3., 3., 0., 3.],
            [3., 3., 3., 0.],
            [0., 3., 3., 3.],
            [3., 0., 3., 3.]])
    """
    if weight.ndim != 1:
        found = f"the weight has shape {list(weight.shape)} for a signal of {n}"
        raise InputError(found, expected="one kernel of shape [k]")
    taps = conv1d_taps(len(weight), n, padding, stride=stride, dilation=dilation, dtype=weight.dtype)
    return torch.einsum("t,tij->ij", weight, taps.to(weight.device))


def conv1d_forward(matrix: Tensor, signal: Tensor) -> Tensor:
    """Convolve signals `[B, n]` by a matrix `[m, n]`: y = M x for each, `[B, m]`.

    >>> conv1d_forward(conv1d_matrix(torch.ones(3), 4), torch.tensor([[1.0, 2.0, 3.0, 4.0]]))
    tensor([[3., 6., 9., 7.]])
    """
    if signal.ndim != 2 or signal.shape[1] != matrix.shape[1] or signal.dtype != matrix.dtype:
        found = f"signals {list(signal.shape)} {signal.dtype}, matrix {list(matrix.shape)} {matrix.dtype}"
        raise InputError(found, expected="[B, n] and [m, n] of one dtype")
    return signal @ matrix.T


def conv1d_gradients(
    weight: Tensor,
    signal: Tensor,
    grad_output: Tensor,
    padding: str = "zero",
    *,
    stride: int = 1,
    dilation: int = 1,
) -> Conv1dGradients:
    """Return dC/dx, dC/dM and dC/dw in matrix form from dC/dy `[B, m]`, without autograd.

    >>> weight, signal = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([[1.0, 0.0, 2.0]])
    >>> conv1d_gradients(weight, signal, torch.ones(1, 3)).weight
    tensor([1., 3., 2.])
    """
    n = signal.shape[-1]
    matrix = conv1d_matrix(weight, n, padding, stride=stride, dilation=dilation)
    output = conv1d_forward(matrix, signal)
    if grad_output.shape != output.shape or grad_output.dtype != output.dtype:
        found = f"the gradient is {list(grad_output.shape)} {grad_output.dtype}"
        raise InputError(found, expected=f"that of the output, {list(output.shape)} {output.dtype}")
    taps = conv1d_taps(len(weight), n, padding, stride=stride, dilation=dilation, dtype=weight.dtype)
    grad_matrix = grad_output.T @ signal
    grad_weight = torch.einsum("tij,ij->t", taps.to(weight.device), grad_matrix)
    return Conv1dGradients(grad_output @ matrix, grad_matrix, grad_weight)


def _check(k: int, n: int, padding: str, stride: int, dilation: int) -> None:
    """Refuse what has no centered convolution."""
    shapes = f" (weight [{k}], signal [{n}], stride {stride}, dilation {dilation})"
    if padding not in BOUNDARIES:
        raise InputError(f"padding is {padding!r}{shapes}", expected=did_you_mean(str(padding), BOUNDARIES))
    if k < 1 or k % 2 == 0:
        raise InputError(f"the kernel has {k} taps{shapes}", expected="an odd number, so that it has a center")
    if n < 1 or stride < 1 or dilation < 1:
        raise InputError(f"a size or step is below 1{shapes}", expected="at least 1")
    reach = dilation * (k // 2)
    most = {"reflect": n - 1, "circular": n}.get(padding, reach)
    if reach > most:
        expected = f"a reach of at most {most}"
        raise InputError(f"the kernel reaches {reach} beyond the ends, {padding}{shapes}", expected=expected)
