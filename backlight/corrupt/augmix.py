"""AugMix: several chains of simple operations on each picture, mixed with one another and with the picture itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from backlight.core.random import Random

_CHAINS, _DEEPEST = 3, 3
Operation = Callable[[Tensor, Tensor], Tensor]
"""From pictures `[A,C,H,W]` and a strength in 0..1 with a sign for each to pictures."""


def augmix(images: Tensor, random: Random, *, severity: float = 3.0) -> Tensor:
    """Mix each picture `[A,C,H,W]` in [0,1] with three chains of one to three operations on it.

    Weights of chains are Dirichlet(1), the share of the mixture Beta(1, 1), strengths uniform in 0.1 .. `severity` of
    10; none of the operations is one of the corruptions (Hendrycks et al. 2020, arXiv:1912.02781, without its
    consistency loss). Every draw is keyed by picture.

    >>> augmix(torch.rand(2, 3, 8, 8), Random(0, [1, 2])).shape
    torch.Size([2, 3, 8, 8])
    """
    # Equal shares of an interval cut by uniform numbers are Dirichlet(1).
    logs = -torch.log1p(-random.uniform(_CHAINS, stream="weights", dtype=torch.float64))
    weights = (logs / logs.sum(1, keepdim=True)).float()
    depths = random.integer(_DEEPEST, _CHAINS, stream="depths") + 1
    mixture = torch.zeros_like(images)
    for chain in range(_CHAINS):
        changed = images
        for step in range(_DEEPEST):
            drawn = random.fork(("chain", chain, step))
            moved = _one_operation(changed, drawn, severity)
            changed = torch.where((depths[:, chain] > step).view(-1, 1, 1, 1), moved, changed)
        mixture += weights[:, chain].view(-1, 1, 1, 1) * changed
    share = random.uniform(stream="share").view(-1, 1, 1, 1)
    return torch.lerp(images, mixture, share)


def _one_operation(images: Tensor, random: Random, severity: float) -> Tensor:
    chosen = random.integer(len(_OPERATIONS), stream="operation")
    strength = (0.1 + (severity - 0.1) * random.uniform(stream="strength")) / 10 * random.sign()
    changed = torch.empty_like(images)
    for number, operation in enumerate(_OPERATIONS):
        rows = (chosen == number).nonzero()[:, 0]
        if len(rows):
            changed[rows] = operation(images[rows], strength[rows])
    return changed


def autocontrast(images: Tensor, strength: Tensor) -> Tensor:
    """Stretch each channel to the whole range.

    >>> autocontrast(torch.tensor([[[[0.2, 0.4]]]]), torch.ones(1))
    tensor([[[[0., 1.]]]])
    """
    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    spread = high - low
    return torch.where(spread > 0, (images - low) / torch.where(spread > 0, spread, 1), images)


def equalize(images: Tensor, strength: Tensor) -> Tensor:
    """Spread the levels of each channel so that all are equally common, as Pillow's `ImageOps.equalize`."""
    levels = (images * 255).round().long().flatten(2)
    changed = torch.empty_like(images).flatten(2)
    for row, channel in np.ndindex(*levels.shape[:2]):
        one = levels[row, channel]
        counts = torch.bincount(one, minlength=256)
        step = (int(counts.sum()) - int(counts[counts.nonzero()[-1, 0]])) // 255
        table = torch.arange(256)
        if step:
            table = ((step // 2 + counts.cumsum(0) - counts) // step).clamp(max=255)
        changed[row, channel] = table[one] / 255
    return changed.view(images.shape)


def posterize(images: Tensor, strength: Tensor) -> Tensor:
    """Keep the upper bits: 4 at no strength, fewer with more."""
    kept = (4 - (strength.abs() * 4).int()).clamp(min=1)
    step = 2.0 ** (8 - kept).view(-1, 1, 1, 1)
    return ((images * 255).round() / step).floor() * step / 255


def solarize(images: Tensor, strength: Tensor) -> Tensor:
    """Turn values above a threshold upside down: none at no strength."""
    return torch.where(images < (1 - strength.abs()).view(-1, 1, 1, 1), images, 1 - images)


def _warped(images: Tensor, strength: Tensor, kind: str) -> Tensor:
    """Turn by 30 degrees, shear by 0.3 or move by a third of the size, each times the strength; black beyond edges."""
    one, zero = torch.ones_like(strength), torch.zeros_like(strength)
    height, width = images.shape[2:]
    angle = strength * torch.pi / 6
    ratio = height / width
    rows = {
        "rotate": (angle.cos(), -angle.sin() * ratio, zero, angle.sin() / ratio, angle.cos(), zero),
        "shear_x": (one, strength * 0.3, zero, zero, one, zero),
        "shear_y": (one, zero, zero, strength * 0.3, one, zero),
        "translate_x": (one, zero, strength * 2 / 3, zero, one, zero),
        "translate_y": (one, zero, zero, zero, one, strength * 2 / 3),
    }[kind]
    matrix = torch.stack(rows, 1).view(-1, 2, 3)
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


_WARPS = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")
_OPERATIONS: tuple[Operation, ...] = (
    autocontrast,
    equalize,
    posterize,
    solarize,
    *(partial(_warped, kind=kind) for kind in _WARPS),
)
