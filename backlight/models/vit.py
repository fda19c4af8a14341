"""A small vision transformer whose blocks look at windows or at the whole image."""

from __future__ import annotations

from torch import Tensor, nn

from backlight.core.errors import InputError, UsageError
from backlight.core.grammar import parse_whole
from backlight.layers.transformer import (
    PatchEmbedding,
    PositionEmbedding,
    TransformerBlock,
    initialize_transformer,
)


class ViT(nn.Module):
    """Classify images by attention over patches, averaged at the end (Dosovitskiy et al., 2021).

    `window_blocks` says which blocks attend inside windows of `window x window` patches: "none", "all", or
    their indices as `(0, 1, 3)` or `"0+1+3"`; the others attend over the whole image. `positions` is
    "absolute" (one learned vector per patch) or "none".

    >>> import torch
    >>> ViT(10, (32, 32), 3, depth=2, window_blocks="0")(torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 10])
    """

    def __init__(
        self,
        classes: int,
        size: tuple[int, int],
        channels: int,
        *,
        patch: int = 4,
        dim: int = 128,
        depth: int = 6,
        heads: int = 4,
        window: int = 4,
        window_blocks: str | tuple[int, ...] = "none",
        positions: str = "absolute",
    ) -> None:
        """Raise `InputError` when the patches do not fit the size or an option is not understood."""
        super().__init__()
        rows, columns = size[0] // patch, size[1] // patch
        if rows * patch != size[0] or columns * patch != size[1]:
            raise InputError(f"size is {size[0]}x{size[1]}", expected=f"sides that {patch} divides")
        if positions not in ("absolute", "none"):
            raise InputError(f"positions is {positions!r}", expected="'absolute' or 'none'")
        windowed = _block_indices(window_blocks, depth)
        self.patches = PatchEmbedding(channels, dim, patch)
        self.positions = PositionEmbedding(rows, columns, dim) if positions == "absolute" else nn.Identity()
        self.blocks = nn.Sequential(
            *(TransformerBlock(dim, heads, window if i in windowed else None) for i in range(depth))
        )
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, classes)
        initialize_transformer(self)

    def forward(self, images: Tensor) -> Tensor:
        """Map normalized images `[B, C, H, W]` to logits `[B, classes]`."""
        tokens = self.positions(self.patches(images))
        return self.head(self.norm(self.blocks(tokens)).mean((1, 2)))


def _block_indices(window_blocks: str | tuple[int, ...], depth: int) -> frozenset[int]:
    """Read which blocks are windowed."""
    if window_blocks == "none":
        return frozenset()
    if window_blocks == "all":
        return frozenset(range(depth))
    given = window_blocks.split("+") if isinstance(window_blocks, str) else list(window_blocks)
    expected = f"'none', 'all' or block numbers of 0..{depth - 1} as '0+1+3'"
    try:
        indices = frozenset(parse_whole(str(number), low=0, high=depth - 1) for number in given)
    except UsageError:
        indices = frozenset()
    if len(indices) != len(given):
        raise InputError(f"window_blocks is {window_blocks!r}", expected=expected)
    return indices
