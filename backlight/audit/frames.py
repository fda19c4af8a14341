"""Pictures without what stands beside the thing, with that alone, or with that of another picture."""

from __future__ import annotations

import torch
from torch import Tensor

from backlight.images.blur import gaussian_blur

FRAME = 0.15
"""The frame is the outer 15% of each side: 51% of the area."""


def frame_mask(height: int, width: int, share: float = FRAME) -> Tensor:
    """Return where the frame is, bool `[H,W]`, one pixel wide at least.

    >>> int(frame_mask(10, 10, 0.1).sum())
    36
    """
    high, wide = max(1, round(share * height)), max(1, round(share * width))
    mask = torch.ones(height, width, dtype=torch.bool)
    mask[high : height - high, wide : width - wide] = False
    return mask


def corner_mask(height: int, width: int, share: float = FRAME) -> Tensor:
    """Return where the four corners of the frame are, bool `[H,W]`.

    >>> int(corner_mask(10, 10, 0.1).sum())
    4
    """
    high, wide = max(1, round(share * height)), max(1, round(share * width))
    rows, columns = torch.zeros(height, 1, dtype=torch.bool), torch.zeros(1, width, dtype=torch.bool)
    rows[:high] = rows[height - high :] = True
    columns[:, :wide] = columns[:, width - wide :] = True
    return rows & columns


def blur_frame(images: Tensor) -> Tensor:
    """Blur the frame of pictures `[A,C,H,W]` beyond recognition, and leave the inside as it is.

    >>> images = torch.rand(1, 3, 20, 20)
    >>> bool((blur_frame(images)[:, :, 5:-5, 5:-5] == images[:, :, 5:-5, 5:-5]).all())
    True
    """
    height, width = images.shape[2:]
    soft = gaussian_blur(images, min(height, width) / 8)
    return torch.where(frame_mask(height, width).to(images.device), soft, images)


def keep_frame(images: Tensor) -> Tensor:
    """Keep the frame of pictures `[A,C,H,W]`, and make the inside grey, as bright as the picture on average.

    >>> keep_frame(torch.zeros(1, 3, 20, 20)).shape
    torch.Size([1, 3, 20, 20])
    """
    grey = images.mean((1, 2, 3), keepdim=True).expand_as(images)
    return torch.where(frame_mask(*images.shape[2:]).to(images.device), images, grey)


def set_corners(corners: Tensor, pictures: Tensor) -> Tensor:
    """Set the corners of pictures `[A,C,H,W]` into others of the same shape, one by one.

    >>> set_corners(torch.ones(1, 3, 10, 10), torch.zeros(1, 3, 10, 10))[0, 0, 0].tolist()
    [1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0]
    """
    return torch.where(corner_mask(*corners.shape[2:]).to(corners.device), corners, pictures)


def set_around(frames: Tensor, middles: Tensor) -> Tensor:
    """Set the frames of pictures `[A,C,H,W]` around the middles of others of the same shape, one by one.

    >>> set_around(torch.ones(1, 3, 10, 10), torch.zeros(1, 3, 10, 10))[0, 0, :, 5].sum()
    tensor(4.)
    """
    return torch.where(frame_mask(*frames.shape[2:]).to(frames.device), frames, middles)
