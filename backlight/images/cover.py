"""A square of a picture hidden behind one color: what does the answer hang on?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from backlight.core.errors import UsageError
from backlight.core.grammar import parse_numbers


class Square(NamedTuple):
    """A square by its center and side, in shares of a picture's width, height and shorter side.

    >>> Square.parse("0.5,0.4,0.2").side
    0.2
    """

    x: float
    y: float
    side: float

    @classmethod
    def parse(cls, text: str) -> Square:
        """Read `X,Y,SIDE`; raises UsageError for anything else, and for a square that hides nothing."""
        try:
            found = cls(*parse_numbers(text))
        except (TypeError, UsageError):
            raise UsageError(f"square {text!r}", expected="X,Y,SIDE, as in 0.5,0.5,0.2") from None
        if not (0 <= found.x <= 1 and 0 <= found.y <= 1 and 0 < found.side <= 1):
            raise UsageError(f"square {text!r}", expected="shares of the picture, from 0 to 1")
        return found

    def __str__(self) -> str:
        return ",".join(f"{value:g}" for value in self)


def covered(images: Tensor, square: Square, color: Sequence[float]) -> Tensor:
    """Hide a square of images `[B,C,H,W]` behind a color of one value or one a channel; it ends at the border.

    >>> import torch
    >>> covered(torch.ones(1, 1, 4, 4), Square(0.5, 0.5, 0.5), (0.0,)).sum()
    tensor(12.)
    """
    height, width = images.shape[2:]
    half = square.side * min(height, width) / 2
    top, bottom = (max(0, round(square.y * height + way * half)) for way in (-1, 1))
    left, right = (max(0, round(square.x * width + way * half)) for way in (-1, 1))
    hidden = images.clone()
    hidden[:, :, top:bottom, left:right] = images.new_tensor(color).view(1, -1, 1, 1)
    return hidden
