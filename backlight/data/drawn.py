"""Pictures of shapes, drawn when they are asked for, and the masks that go with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from backlight.data.shapes import Shapes

DRAWN_PIXELS = 2**20


@dataclass(frozen=True, eq=False, repr=False)
class Drawing:
    """Draw pictures of shapes, or the masks that go with them (`part` is "object" or "patch")."""

    shapes: Shapes
    part: str = "images"

    def __len__(self) -> int:
        return self.shapes.n

    def one(self, row: int) -> Tensor:
        """Return one picture, uint8 [3,H,W], or one mask, uint8 0 or 1 [1,H,W]."""
        return self.read([row])[0]

    def read(self, rows: Sequence[int]) -> Tensor:
        """Return some pictures, uint8 [A,3,H,W], or masks, uint8 0 or 1 [A,1,H,W]."""
        wanted = torch.as_tensor(rows, dtype=torch.int64)
        # Drawing holds about 200 bytes a pixel, so large pictures are drawn a few at a time.
        parts = wanted.split(max(1, DRAWN_PIXELS // self.shapes.size**2))
        drawn: Tensor = torch.cat([getattr(self.shapes.draw(part), self.part) for part in parts])
        return drawn if self.part == "images" else drawn[:, None].to(torch.uint8)
