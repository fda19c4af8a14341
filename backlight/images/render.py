"""Maps and perturbations drawn so that people can look at them.

`normalize_map`, `place`, `overlay` and `amplify` return tensors; `grid` and `side_by_side` PIL pictures.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from backlight.core.errors import InputError
from backlight.images.colors import COLOR_TABLES, color_table, colorize
from backlight.images.resize import CropBox
from backlight.images.sheets import grid, side_by_side

__all__ = [
    "COLOR_TABLES",
    "NormalizedMap",
    "amplify",
    "color_table",
    "colorize",
    "grid",
    "normalize_map",
    "overlay",
    "place",
    "side_by_side",
]

_FLAT = 1e-6  # a range below this share of the values is rounding noise, not structure


class NormalizedMap(NamedTuple):
    """A map in [0,1]; `flat` says that nothing is to be seen, `finite` that there was no NaN or infinity.

    >>> NormalizedMap(torch.zeros(2, 2), flat=True, finite=True).flat
    True
    """

    values: Tensor
    flat: bool
    finite: bool


def normalize_map(map: Tensor, signed: bool = False, percentile: float = 99.0) -> NormalizedMap:  # noqa: A002
    """Scale a map [H,W] to [0,1], outliers above the percentile cut off.

    Unsigned: the smallest value becomes 0 and the percentile 1. Signed: 0 becomes 0.5, and the percentile of
    the magnitudes 0 or 1. A flat unsigned map becomes 0. Values that are not finite become 0 (signed 0.5)
    and do not count; `flat` and `finite` tell of both.

    Raises InputError for other shapes and a percentile outside of (0,100].

    >>> normalize_map(torch.tensor([[-1.0, 0.0, 2.0]]), signed=True, percentile=100).values
    tensor([[0.2500, 0.5000, 1.0000]])
    """
    if map.ndim != 2 or map.numel() == 0:
        raise InputError(f"a map of shape {list(map.shape)}", expected="[H,W]")
    if not 0 < percentile <= 100:
        raise InputError(f"percentile {percentile}", expected="above 0 and at most 100")
    values = map.detach().to(torch.float64)
    known = torch.isfinite(values)
    finite = bool(known.all())
    if not bool(known.any()):
        return NormalizedMap(torch.full(map.shape, 0.5 * signed, device=map.device), True, False)
    low, high = values[known].min(), values[known].max()
    flat = bool(high - low <= _FLAT * torch.maximum(low.abs(), high.abs()))
    if signed:
        scale = _percentile(values[known].abs(), percentile)
        scaled = (values / scale.clamp(min=1e-300)).clamp(-1, 1) / 2 + 0.5
    elif flat:
        scaled = torch.zeros_like(values)
    else:
        scaled = ((values - low) / _percentile(values[known] - low, percentile)).clamp(0, 1)
    return NormalizedMap(torch.where(known, scaled, 0.5 * signed).float(), flat, finite)


def _percentile(magnitudes: Tensor, percentile: float) -> Tensor:
    # kthvalue, since torch.quantile refuses more than 16 million values.
    rank = max(1, math.ceil(percentile / 100 * magnitudes.numel()))
    cut = magnitudes.kthvalue(rank).values
    return cut if cut > 0 else magnitudes.max()  # a sparse map may be 0 at the percentile


def place(map: Tensor, box: CropBox, full_size: tuple[int, int], fill: float = 0.0) -> Tensor:  # noqa: A002
    """Lay a map [..., h,w] over its crop box on the full photograph: [..., H,W], `fill` outside of the box.

    Enlarging interpolates linearly between pixel centers, shrinking averages with a triangle filter as wide.

    Raises InputError for a map without rows and columns, and for an empty box.

    >>> place(torch.ones(2, 2), CropBox(1, 0, 3, 2), (2, 4))
    tensor([[0., 1., 1., 0.],
            [0., 1., 1., 0.]])
    """
    if map.ndim < 2 or map.numel() == 0:
        raise InputError(f"a map of shape {list(map.shape)}", expected="[..., h,w]")
    if box.right <= box.left or box.bottom <= box.top:
        raise InputError(f"the box {tuple(box)} is empty", expected="left < right and top < bottom")
    values = map.detach().float()
    rows, down = _weights(values.shape[-2], box.top, box.bottom, full_size[0])
    columns, across = _weights(values.shape[-1], box.left, box.right, full_size[1])
    full = torch.full((*values.shape[:-2], *full_size), fill, dtype=torch.float32, device=map.device)
    full[..., rows, columns] = down.to(map.device) @ values @ across.to(map.device).T
    return full


def _weights(length: int, low: float, high: float, full: int) -> tuple[slice, Tensor]:
    centers = torch.arange(full, dtype=torch.float64) + 0.5
    covered = torch.nonzero((centers >= low) & (centers < high)).flatten()
    first, last = (int(covered[0]), int(covered[-1]) + 1) if len(covered) else (0, 0)
    scale = length / (high - low)
    source = (centers[first:last] - low) * scale - 0.5
    distance = (torch.arange(length, dtype=torch.float64)[None] - source[:, None]).abs()
    weights = (1 - distance / max(1.0, scale)).clamp(min=0)
    return slice(first, last), (weights / weights.sum(1, keepdim=True)).float()


def overlay(image: Tensor, map: Tensor, opacity: float = 0.7, table: str = "heat") -> Tensor:  # noqa: A002
    """Color a normalized map [h,w] over an image [3,H,W] or [1,H,W] in [0,1]: float32 [3,H,W].

    The photograph shows through where the map says little: a value's weight is `opacity` times the value,
    for the table `signed` times its distance from 0.5. A map of another size is stretched over the image.

    Raises InputError for other shapes, an opacity outside of [0,1] and maps that are not finite.

    >>> overlay(torch.zeros(3, 1, 2), torch.tensor([[0.0, 1.0]]), opacity=1.0)[0]
    tensor([[0., 1.]])
    """
    if image.ndim != 3 or image.shape[0] not in (1, 3):
        raise InputError(f"an image of shape {list(image.shape)}", expected="[3,H,W] or [1,H,W]")
    if map.ndim != 2:
        raise InputError(f"a map of shape {list(map.shape)}", expected="[h,w]")
    if not 0 <= opacity <= 1:
        raise InputError(f"opacity {opacity}", expected="0..1")
    height, width = image.shape[-2:]
    values = map.detach().to(image.device).float()
    if values.shape != (height, width):
        values = place(values, CropBox(0, 0, width, height), (height, width))
    strength = (2 * values - 1).abs() if table == "signed" else values
    weight = opacity * strength.clamp(0, 1)
    return image.detach().float() * (1 - weight) + colorize(values, table) * weight


def amplify(difference: Tensor, factor: float = 10.0) -> Tensor:
    """Show a perturbation: `factor` times the difference around middle gray, cut to [0,1], any shape.

    >>> amplify(torch.tensor([-0.01, 0.0, 0.2]), 10)
    tensor([0.4000, 0.5000, 1.0000])
    """
    return (0.5 + factor * difference.detach().float()).clamp(0, 1)
