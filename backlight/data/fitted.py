"""Pictures made to fit a classifier, and back to what they were: its input size, its channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from PIL import Image
from torch import Tensor

from backlight.core.errors import DataError
from backlight.data.decoded import Decoded, levels
from backlight.data.pictures import Joined, PictureSource, Selected, stack
from backlight.images import Resize


@dataclass(frozen=True, eq=False, repr=False)
class Fitted:
    """Bring pictures to a classifier's input size by its own rule, and to its channels: grey or RGB."""

    inner: PictureSource
    resize: Resize | None = None
    channels: int | None = None

    def __len__(self) -> int:
        return len(self.inner)

    def one(self, row: int) -> Tensor:
        """Return one picture as it is wanted, uint8 [C,H,W]."""
        return fit(self.inner.one(row), self.resize, self.channels)

    def read(self, rows: Sequence[int]) -> Tensor:
        """Return some pictures as they are wanted, uint8 [A,C,H,W]."""
        if not len(rows):
            size = self.resize.size if self.resize is not None else (0, 0)
            return torch.zeros(0, self.channels or 3, *size, dtype=torch.uint8)
        return stack([self.one(int(row)) for row in rows])


def fit(image: Tensor, resize: Resize | None = None, channels: int | None = None) -> Tensor:
    """Bring a picture, uint8 [C,H,W], to a classifier's input size by its own rule, and to its channels.

    Raises `DataError` for channels that no rule makes others of.

    >>> fit(torch.zeros(3, 8, 8, dtype=torch.uint8), Resize(None, (4, 4)), 1).shape
    torch.Size([1, 4, 4])
    """
    channels = channels or len(image)
    if _fits(image, resize, channels):
        return image
    if len(image) not in (1, 3):
        raise DataError(f"pictures with {len(image)} channels", expected=f"{channels}, as the model")
    return _made_to_fit(to_pil(image), resize, channels)


def fit_picture(picture: Image.Image, image: Tensor, resize: Resize | None, channels: int) -> Tensor:
    """Bring a picture to a classifier's input size and channels as `fit` does its pixels `image`, uint8 [C,H,W].

    >>> picture = Image.new("L", (8, 8), 7)
    >>> fit_picture(picture, torch.full((1, 8, 8), 7, dtype=torch.uint8), Resize(None, (4, 4)), 3).shape
    torch.Size([3, 4, 4])
    """
    if _fits(image, resize, channels):
        return image
    plain = picture if picture.mode in ("L", "RGB") else picture.convert("RGB")
    return _made_to_fit(plain, resize, channels)


def _fits(image: Tensor, resize: Resize | None, channels: int) -> bool:
    return len(image) == channels and (resize is None or tuple(image.shape[1:]) == resize.size)


def _made_to_fit(picture: Image.Image, resize: Resize | None, channels: int) -> Tensor:
    if resize is not None:
        picture, _ = resize.resize(picture)
    return levels(picture, channels)


def fitted(pictures: PictureSource, resize: Resize | None = None, channels: int | None = None) -> PictureSource:
    """Apply a resize rule or a number of channels, before decoding is over where that is possible.

    >>> from backlight.data.pictures import Memory
    >>> fitted(Memory(torch.zeros(2, 3, 4, 4, dtype=torch.uint8)), channels=1).read([0]).shape
    torch.Size([1, 1, 4, 4])
    """
    if isinstance(pictures, Joined):
        return Joined(tuple(fitted(part, resize, channels) for part in pictures.parts))
    if isinstance(pictures, Selected):
        return Selected(fitted(pictures.inner, resize, channels), pictures.rows)
    if isinstance(pictures, Decoded):
        return replace(pictures, resize=resize or pictures.resize, channels=channels or pictures.channels)
    if isinstance(pictures, Fitted):
        return Fitted(pictures.inner, resize or pictures.resize, channels or pictures.channels)
    return Fitted(pictures, resize, channels)


def whole(pictures: PictureSource, row: int) -> Image.Image:
    """Return one picture as it was before it was made to fit, upright; raises `FileError` when it is broken.

    >>> from backlight.data.pictures import Memory
    >>> whole(fitted(Memory(torch.zeros(1, 3, 8, 6, dtype=torch.uint8)), Resize(None, (4, 4))), 0).size
    (6, 8)
    """
    if isinstance(pictures, Selected):
        return whole(pictures.inner, int(pictures.rows[row]))
    if isinstance(pictures, Fitted):
        return whole(pictures.inner, row)
    if isinstance(pictures, Joined):
        for part in pictures.parts:
            if row < len(part):
                return whole(part, row)
            row -= len(part)
    return pictures.fetch(row, 0) if isinstance(pictures, Decoded) else to_pil(pictures.one(row))


def to_pil(image: Tensor) -> Image.Image:
    """Make a tensor, uint8 [C,H,W] of one or three channels, a picture."""
    return Image.fromarray((image[0] if len(image) == 1 else image.permute(1, 2, 0)).contiguous().numpy())
