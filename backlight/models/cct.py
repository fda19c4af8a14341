"""A compact convolutional transformer: convolutions make the tokens, attention weighs them at the end."""

from __future__ import annotations

from torch import Tensor, nn

from backlight.layers.transformer import PositionEmbedding, TransformerBlock, initialize_transformer


class CCT(nn.Module):
    """Classify small images with CCT (Hassani et al., 2021, arXiv 2104.05704); defaults are CCT-2/3x2.

    Two 3x3 convolutions with pooling replace the patches, so a 32 px image gives 8x8 tokens that overlap;
    the tokens are averaged with learned weights (sequence pooling) in place of a class token.

    >>> import torch
    >>> CCT(10, (32, 32), 3)(torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 10])
    """

    def __init__(
        self,
        classes: int,
        size: tuple[int, int],
        channels: int,
        *,
        dim: int = 128,
        depth: int = 2,
        heads: int = 2,
        mlp_ratio: float = 1.0,
    ) -> None:
        super().__init__()
        self.tokenizer = nn.Sequential(
            nn.Conv2d(channels, 64, 3, padding=1, bias=False),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, 1),
            nn.Conv2d(64, dim, 3, padding=1, bias=False),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, 1),
        )
        # Each pooling halves a side and rounds up, so two of them give ceil(side / 4).
        self.positions = PositionEmbedding((size[0] + 3) // 4, (size[1] + 3) // 4, dim)
        self.blocks = nn.Sequential(*(TransformerBlock(dim, heads, mlp_ratio=mlp_ratio) for _ in range(depth)))
        self.norm = nn.LayerNorm(dim)
        self.importance = nn.Linear(dim, 1)
        self.head = nn.Linear(dim, classes)
        initialize_transformer(self)
        for layer in self.tokenizer:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)

    def forward(self, images: Tensor) -> Tensor:
        """Map normalized images `[B, C, H, W]` to logits `[B, classes]`."""
        tokens = self.positions(self.tokenizer(images).permute(0, 2, 3, 1))
        tokens = self.norm(self.blocks(tokens)).flatten(1, 2)
        weights = self.importance(tokens).softmax(1)
        return self.head((weights * tokens).sum(1))
