"""The other parts of a vision transformer: cutting an image into tokens, and the block that refines them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from backlight.core.errors import InputError
from backlight.layers.attention import WindowAttention


class PatchEmbedding(nn.Module):
    """Turn each `patch x patch` square of an image into one token by one shared linear map.

    The same as a convolution whose kernel and stride are both `patch`
    (Dosovitskiy et al., 2021, equation 1).

    >>> import torch
    >>> PatchEmbedding(channels=3, dim=8, patch=4)(torch.zeros(2, 3, 8, 12)).shape
    torch.Size([2, 2, 3, 8])
    """

    def __init__(self, channels: int, dim: int, patch: int) -> None:
        super().__init__()
        self.channels, self.patch = channels, patch
        self.project = nn.Linear(channels * patch * patch, dim)

    def forward(self, images: Tensor) -> Tensor:
        """Map images `[B, C, H, W]` to tokens `[B, H / patch, W / patch, dim]`."""
        patch = self.patch
        if images.ndim != 4 or images.shape[1] != self.channels:
            expected = f"shape [B, {self.channels}, H, W]"
            raise InputError(f"images have shape {list(images.shape)}", expected=expected)
        batch, channels, height, width = images.shape
        if height % patch or width % patch:
            expected = f"sides that patches of {patch}x{patch} divide"
            raise InputError(f"images have shape {list(images.shape)}", expected=expected)
        rows, columns = height // patch, width // patch
        squares = images.reshape(batch, channels, rows, patch, columns, patch).permute(0, 2, 4, 1, 3, 5)
        return self.project(squares.reshape(batch, rows, columns, channels * patch * patch))


class PositionEmbedding(nn.Module):
    """Add one learned vector per place of the grid, so that attention can tell places apart.

    >>> import torch
    >>> PositionEmbedding(2, 3, 8)(torch.zeros(5, 2, 3, 8)).shape
    torch.Size([5, 2, 3, 8])
    """

    def __init__(self, rows: int, columns: int, dim: int) -> None:
        super().__init__()
        self.vectors = nn.Parameter(nn.init.trunc_normal_(torch.empty(rows, columns, dim), std=0.02))

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens `[B, H, W, C]` to tokens of the same shape."""
        if tokens.shape[1:] != self.vectors.shape:
            expected = f"shape {['B', *self.vectors.shape]}".replace("'", "")
            raise InputError(f"tokens have shape {list(tokens.shape)}", expected=expected)
        return tokens + self.vectors


class TransformerBlock(nn.Module):
    """Refine tokens by attention and then by a two-layer network, each added to what came in.

    Normalization comes before each part (pre-norm), which trains without warm-up tricks.
    `window` and `fused` as in `WindowAttention`; the hidden layer is `mlp_ratio` times as wide as the tokens.

    >>> import torch
    >>> TransformerBlock(dim=8, heads=2, window=2)(torch.zeros(1, 4, 4, 8)).shape
    torch.Size([1, 4, 4, 8])
    """

    def __init__(
        self, dim: int, heads: int, window: int | None = None, *, mlp_ratio: float = 2.0, fused: bool = True
    ) -> None:
        super().__init__()
        hidden = int(dim * mlp_ratio)
        self.attention_norm = nn.LayerNorm(dim)
        self.attention = WindowAttention(dim, heads, window, fused=fused)
        self.mlp_norm = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens `[B, H, W, C]` to tokens of the same shape."""
        tokens = tokens + self.attention(self.attention_norm(tokens))
        return tokens + self.mlp(self.mlp_norm(tokens))


def initialize_transformer(module: nn.Module) -> None:
    """Draw every linear layer from a normal of deviation 0.02, with zero biases, as transformers use.

    >>> import torch
    >>> layer = torch.nn.Linear(4, 4)
    >>> initialize_transformer(layer)
    >>> layer.bias.abs().max().item()
    0.0
    """
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
