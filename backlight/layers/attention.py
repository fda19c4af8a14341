"""Attention over a grid of tokens, inside windows or over the whole grid.

Tokens keep their grid: `[B, H, W, C]`. A window of `w` cuts the grid into squares of `w x w` tokens that
attend only among themselves, so the cost grows with the number of tokens and not with its square
(Liu et al., Swin Transformer, 2021, section 3.2; without the shift).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from backlight.core.errors import InputError


class Windows(NamedTuple):
    """Tokens cut into windows, and which of them are real rather than padding."""

    tokens: Tensor  # [B * windows, w * w, C]
    real: Tensor | None  # [B * windows, w * w] bool; None when nothing was padded


def attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """Compute softmax(Q Kᵀ / √d) V, written out.

    `query`, `key`, `value` are `[..., tokens, d]`; `mask` broadcasts to `[..., queries, keys]` and is True
    where a key may be seen (Vaswani et al., 2017, equation 1).

    >>> import torch
    >>> tokens = torch.eye(2).expand(1, 2, 2)
    >>> attention(tokens, tokens, tokens)[0].sum(-1)
    tensor([1., 1.])
    """
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    return scores.softmax(-1) @ value


def cut_windows(tokens: Tensor, window: int) -> Windows:
    """Cut `[B, H, W, C]` into windows, padding the right and lower edge where the window does not divide.

    >>> import torch
    >>> cut = cut_windows(torch.zeros(1, 3, 4, 8), 2)
    >>> tuple(cut.tokens.shape), int(cut.real.sum())
    ((4, 4, 8), 12)
    """
    batch, height, width, dim = tokens.shape
    down, right = -height % window, -width % window
    padded = F.pad(tokens, (0, 0, 0, right, 0, down))
    rows, columns = (height + down) // window, (width + right) // window

    def cut(grid: Tensor) -> Tensor:
        cells = grid.reshape(-1, rows, window, columns, window, grid.shape[-1])
        return cells.transpose(2, 3).reshape(-1, window * window, grid.shape[-1])

    real = None
    if down or right:
        inside = F.pad(tokens.new_ones(1, height, width, 1), (0, 0, 0, right, 0, down))
        real = cut(inside).squeeze(-1).bool().repeat(batch, 1)
    return Windows(cut(padded), real)


def join_windows(tokens: Tensor, window: int, height: int, width: int) -> Tensor:
    """Put windows back onto the grid `[B, height, width, C]` and drop the padding.

    >>> import torch
    >>> grid = torch.arange(15.0).view(1, 3, 5, 1)
    >>> torch.equal(join_windows(cut_windows(grid, 2).tokens, 2, 3, 5), grid)
    True
    """
    rows, columns = -(-height // window), -(-width // window)
    cells = tokens.reshape(-1, rows, columns, window, window, tokens.shape[-1])
    grid = cells.transpose(2, 3).reshape(-1, rows * window, columns * window, tokens.shape[-1])
    return grid[:, :height, :width]


class WindowAttention(nn.Module):
    """Let the tokens of each window attend to each other with several heads.

    `window=None` attends over the whole grid. Padding that fills the last windows is never attended to, so
    a window at the edge equals plain attention over its real tokens. `fused` calls
    `F.scaled_dot_product_attention`, which explanation methods can observe, but whose CPU kernel has no
    second derivative; without it the formula of `attention` is used, which has derivatives of every order.
    Both give the same numbers.

    >>> import torch
    >>> WindowAttention(dim=8, heads=2, window=4)(torch.zeros(1, 6, 5, 8)).shape
    torch.Size([1, 6, 5, 8])
    """

    def __init__(self, dim: int, heads: int, window: int | None = None, *, fused: bool = True) -> None:
        """Raise `InputError` when the heads do not divide `dim` or the window is not positive."""
        super().__init__()
        if heads < 1 or dim % heads:
            raise InputError(f"{dim} channels do not divide into {heads} heads", expected="a divisor")
        if window is not None and window < 1:
            raise InputError(f"the window is {window} tokens", expected="at least 1, or None for the grid")
        self.heads, self.window, self.fused = heads, window, fused
        self.query_key_value = nn.Linear(dim, 3 * dim)
        self.project = nn.Linear(dim, dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens `[B, H, W, C]` to tokens of the same shape."""
        if tokens.ndim != 4 or tokens.shape[-1] != self.project.in_features:
            expected = f"tokens of shape [B, H, W, {self.project.in_features}]"
            raise InputError(f"tokens have shape {list(tokens.shape)}", expected=expected)
        batch, height, width, dim = tokens.shape
        if self.window is None:
            attended = self.attend(Windows(tokens.reshape(batch, height * width, dim), None))
            return attended.reshape(batch, height, width, dim)
        return join_windows(self.attend(cut_windows(tokens, self.window)), self.window, height, width)

    def attend(self, windows: Windows) -> Tensor:
        """Attend inside each window: `[N, tokens, C]` to `[N, tokens, C]`."""
        count, length, dim = windows.tokens.shape
        joint = self.query_key_value(windows.tokens).reshape(count, length, 3, self.heads, dim // self.heads)
        query, key, value = joint.permute(2, 0, 3, 1, 4)
        mask = None if windows.real is None else windows.real[:, None, None, :]
        if self.fused:
            attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        else:
            attended = attention(query, key, value, mask)
        return self.project(attended.transpose(1, 2).reshape(count, length, dim))
