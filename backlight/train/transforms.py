"""Transforms of whole batches, each picture with its own parameters; the same formulas as torchvision's.

Every function takes float images `[B,C,H,W]` in `[0,1]` and one parameter per image, and draws nothing: what to
draw is decided in `augment.py`. A few tensor operations for a whole batch cost a hundredth of a training step;
one picture at a time costs more than the step.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

# ITU-R BT.601 as torchvision writes it.
_LUMINANCE = (0.2989, 0.587, 0.114)


def flip(images: Tensor, flipped: Tensor) -> Tensor:
    """Mirror the images `[B,C,H,W]` where `flipped` `[B]` is true.

    >>> flip(torch.tensor([[[[1.0, 2.0]]]]), torch.tensor([True]))
    tensor([[[[2., 1.]]]])
    """
    return torch.where(_column(flipped), images.flip(3), images)


def shift_crop(images: Tensor, offsets: Tensor, padding: int) -> Tensor:
    """Pad by reflection and cut the same size out at `offsets` `[B,2]` (down, across; 0 to 2 * padding).

    >>> shift_crop(torch.tensor([[[[1.0, 2.0, 3.0]] * 3]]), torch.tensor([[1, 0]]), 1)[0, 0, 0]
    tensor([2., 1., 2.])
    """
    height, width = images.shape[2:]
    padded = F.pad(images, (padding,) * 4, mode="reflect").permute(0, 2, 3, 1)
    rows = offsets[:, :1] + torch.arange(height, device=images.device)
    columns = offsets[:, 1:] + torch.arange(width, device=images.device)
    picture = torch.arange(len(images), device=images.device)
    # With the channels last the three indexed axes stand together, so one gather cuts all pictures.
    cut = padded[picture[:, None, None], rows[:, :, None], columns[:, None, :]]
    return cut.permute(0, 3, 1, 2).contiguous()


def affine(images: Tensor, degrees: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Turn clockwise by `degrees` `[B]`, scale about the center by `scale` `[B]`, move by `shift` `[B,2]` pixels.

    `shift` is (right, down). Bilinear, zeros outside. The matrix is the inverse of translation * rotation * scale
    about the center, as `torchvision.transforms.v2.functional.affine` with shear 0 has it.

    >>> picture = torch.rand(1, 3, 8, 8)
    >>> still = affine(picture, torch.zeros(1), torch.zeros(1, 2), torch.ones(1))
    >>> torch.allclose(still, picture, atol=1e-6)
    True
    """
    height, width = images.shape[2:]
    angle = degrees.double() * (math.pi / 180)
    cos, sin = angle.cos() / scale, angle.sin() / scale
    right, down = shift.double().unbind(1)
    x = torch.arange(width, dtype=torch.float64, device=images.device) + (1 - width) / 2
    y = torch.arange(height, dtype=torch.float64, device=images.device) + (1 - height) / 2
    # A place's source is a sum of what its column and its row give: large tensors are only added, never multiplied.
    across = _outer(cos, x - right[:, None], sin, y - down[:, None], width / 2, images.dtype)
    along = _outer(-sin, x - right[:, None], cos, y - down[:, None], height / 2, images.dtype)
    return F.grid_sample(images, torch.stack([across, along], 3), align_corners=False)


def _outer(a: Tensor, x: Tensor, b: Tensor, y: Tensor, half: float, dtype: torch.dtype) -> Tensor:
    """Compute (a x + b y) / half for every row and column, `[B,H,W]`."""
    columns, rows = a[:, None] * x / half, b[:, None] * y / half
    return columns.to(dtype)[:, None, :] + rows.to(dtype)[:, :, None]


def brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Multiply each image by its `factor` `[B]`, cut to `[0,1]`.

    >>> brightness(torch.full((1, 3, 1, 1), 0.4), torch.tensor([2.0])).unique()
    tensor([0.8000])
    """
    return (images * _column(factor)).clamp_(0, 1)


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Move each image away from its mean luminance by `factor` `[B]`, cut to `[0,1]`.

    >>> picture = torch.tensor([0.4, 0.6]).view(1, 1, 1, 2)
    >>> contrast(picture, torch.tensor([2.0])).flatten()
    tensor([0.3000, 0.7000])
    """
    return _blend(images, _luminance(images).mean((1, 2, 3), keepdim=True), factor)


def saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Move each pixel away from its own grey by `factor` `[B]`, cut to `[0,1]`; grey images stay.

    >>> saturation(torch.rand(2, 3, 4, 4), torch.zeros(2)).std(1).max() < 1e-6
    tensor(True)
    """
    return _blend(images, _luminance(images), factor) if images.shape[1] == 3 else images


def hue(images: Tensor, turn: Tensor) -> Tensor:
    """Turn each image's hues by `turn` `[B]` of a full circle (-0.5 to 0.5); grey images stay.

    >>> hue(torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1), torch.tensor([1 / 3])).flatten().round().abs()
    tensor([0., 1., 0.])
    """
    if images.shape[1] != 3:
        return images
    low, high = images.amin(1, keepdim=True), images.amax(1, keepdim=True)
    spread = high - low
    red, green, blue = ((high - images) / torch.where(spread == 0, 1, spread)).chunk(3, 1)
    angle = torch.where(images[:, 1:2] == high, 2 + red - blue, 4 + green - red)
    angle = torch.where(images[:, 0:1] == high, blue - green, angle)
    # Smith's hexcone (1978) in closed form: each channel falls off by its distance on the circle of six.
    channel = torch.tensor([5.0, 3.0, 1.0], device=images.device).view(1, 3, 1, 1)
    place = (channel + angle + 6 * _column(turn)).remainder(6)
    return high - spread * torch.minimum(place, 4 - place).clamp(0, 1)


def cutout(images: Tensor, center: Tensor, side: int) -> Tensor:
    """Put a grey square of `side` pixels at `center` `[B,2]` (down, across), cut at the borders (DeVries 2017).

    >>> cutout(torch.zeros(1, 1, 4, 4), torch.tensor([[0, 0]]), 2).sum()
    tensor(0.5000)
    """
    low = center - side // 2
    return torch.where(_rectangles(images, low, low + side), 0.5, images)


def mix(images: Tensor, others: Tensor, share: Tensor) -> Tensor:
    """Blend each image with its other one: `share * image + (1 - share) * other` (mixup, Zhang et al. 2018).

    >>> mix(torch.zeros(1, 3, 1, 1), torch.ones(1, 3, 1, 1), torch.tensor([0.25])).unique()
    tensor([0.7500])
    """
    return torch.lerp(others, images, _column(share))


def paste(images: Tensor, others: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Paste a rectangle of each other image, rows and columns `low` to `high` `[B,2]` (cutmix, Yun et al. 2019).

    Returns the pictures and the share `[B]` of each that is still its own.

    >>> both = paste(torch.zeros(1, 1, 4, 4), torch.ones(1, 1, 4, 4), torch.tensor([[0, 0]]), torch.tensor([[2, 2]]))
    >>> both[1]
    tensor([0.7500])
    """
    inside = _rectangles(images, low, high)
    return torch.where(inside, others, images), 1 - inside.to(images.dtype).mean((1, 2, 3))


def _rectangles(images: Tensor, low: Tensor, high: Tensor) -> Tensor:
    down = torch.arange(images.shape[2], device=images.device)
    across = torch.arange(images.shape[3], device=images.device)
    rows = (down >= low[:, :1]) & (down < high[:, :1])
    columns = (across >= low[:, 1:]) & (across < high[:, 1:])
    return (rows[:, :, None] & columns[:, None, :])[:, None]


def _luminance(images: Tensor) -> Tensor:
    if images.shape[1] != 3:
        return images
    red, green, blue = images.split(1, 1)
    return (_LUMINANCE[0] * red).add_(green, alpha=_LUMINANCE[1]).add_(blue, alpha=_LUMINANCE[2])


def _blend(images: Tensor, toward: Tensor, factor: Tensor) -> Tensor:
    return torch.lerp(toward, images, _column(factor)).clamp_(0, 1)


def _column(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)
