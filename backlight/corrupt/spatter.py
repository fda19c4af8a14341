"""Spatter on the lens: drops of water, or mud."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from backlight.core.random import Random
from backlight.corrupt.blurs import to_levels
from backlight.corrupt.filters import filter_pictures, pad
from backlight.corrupt.noise import draw_normal
from backlight.corrupt.severities import Constants
from backlight.images.blur import gaussian_blur

_WATER, _MUD = (175, 238, 238), (63, 42, 20)
_WEAK, _STRONG = 50, 150  # of Canny's gradients, in levels
_FARTHEST = 20  # pixels


def spatter(images: Tensor, constants: Constants, random: Random) -> Tensor:
    """Let drops lie on a picture: water brightens what it covers, mud (the last constant is 1) hides it."""
    mean, deviation, sigma, threshold, amount, mud = constants
    liquid = draw_normal(random, (1, *images.shape[2:]), "liquid") * deviation + mean
    liquid = gaussian_blur(liquid, sigma, "replicate")
    liquid = torch.where(liquid < threshold, 0.0, liquid)
    if not mud:
        return images + _shine(liquid, amount) * _color(_WATER)
    cover = gaussian_blur((liquid > threshold).float(), amount, "replicate")
    cover = torch.where(cover < 0.8, 0.0, cover)
    return images * (1 - cover) + cover * _color(_MUD)


def _color(levels: tuple[int, int, int]) -> Tensor:
    return torch.tensor(levels).view(1, 3, 1, 1) / 255


def _shine(liquid: Tensor, amount: float) -> Tensor:
    """Return how much each drop `[A,1,H,W]` shines: strongest along edges that face one way."""
    shine = to_levels(liquid)
    far = edge_distance(find_edges(shine * 255))
    far = _equalized(_box(far).floor())
    relief = torch.tensor([[-2.0, -1.0, 0.0], [-1.0, 1.0, 1.0], [0.0, 1.0, 2.0]])
    shine *= _box(filter_pictures(far, relief, "reflect").clamp_(0, 255))
    most = shine.amax((1, 2, 3), keepdim=True)
    return shine.div_(torch.where(most > 0, most, 1)).mul_(amount)


def _box(images: Tensor) -> Tensor:
    """Average every pixel with its eight neighbours."""
    padded = pad(images, 1, "reflect")
    rows = (padded[..., :-2, :] + padded[..., 1:-1, :]).add_(padded[..., 2:, :])
    return (rows[..., :-2] + rows[..., 1:-1]).add_(rows[..., 2:]).div_(9)


def find_edges(levels: Tensor) -> Tensor:
    """Return where Canny's detector sees edges in `[A,1,H,W]` of 0 to 255 (Canny 1986; gradients by Sobel, l1).

    >>> ramp = torch.zeros(1, 1, 8, 8); ramp[..., 4:] = 255
    >>> find_edges(ramp)[0, 0, 4].int().tolist()
    [0, 0, 0, 1, 0, 0, 0, 0]
    """
    # Whole numbers of 16 bits hold every gradient, and are compared four times as fast as floats.
    padded = pad(levels.round().short(), 1, "replicate")
    across = _smoothed(padded[..., 2:] - padded[..., :-2], 2)
    down = _smoothed(padded[..., 2:, :] - padded[..., :-2, :], 3)
    strength = across.abs() + down.abs()
    kept = _is_ridge(strength, across, down) & (strength > _WEAK)
    return torch.stack([_connected(one, strong) for one, strong in zip(kept, kept & (strength > _STRONG))])


def _smoothed(differences: Tensor, axis: int) -> Tensor:
    """Sum three neighbours along an axis, the middle one twice."""
    count = differences.shape[axis] - 2
    first, middle, last = (differences.narrow(axis, start, count) for start in (0, 1, 2))
    return torch.add(first, middle, alpha=2).add_(last)


def _is_ridge(strength: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """Whether the gradient is strongest along its own direction, of which there are four."""
    padded = F.pad(strength, (1, 1, 1, 1))
    height, width = strength.shape[2:]

    def beside(rows: int, columns: int) -> Tensor:
        return padded[:, :, 1 + rows : 1 + rows + height, 1 + columns : 1 + columns + width]

    x, y = across.abs().float(), down.abs().float()
    flat, steep = y < x * 0.41421356, y > x * 2.41421356  # tangents of 22.5 and 67.5 degrees
    horizontal = (strength > beside(0, -1)) & (strength >= beside(0, 1))
    vertical = (strength > beside(-1, 0)) & (strength >= beside(1, 0))
    falling = (strength > beside(-1, -1)) & (strength > beside(1, 1))
    rising = (strength > beside(-1, 1)) & (strength > beside(1, -1))
    diagonal = torch.where((across < 0) == (down < 0), falling, rising)
    return torch.where(flat, horizontal, torch.where(steep, vertical, diagonal))


def _connected(kept: Tensor, strong: Tensor) -> Tensor:
    """Keep what touches something strong, `[1,H,W]`."""
    from scipy import ndimage

    numbered, count = ndimage.label(kept[0].numpy(), structure=np.ones((3, 3)))
    wanted = np.zeros(count + 1, dtype=bool)
    wanted[numbered[strong[0].numpy()]] = True
    wanted[0] = False
    return torch.from_numpy(wanted[numbered])[None]


def edge_distance(edges: Tensor) -> Tensor:
    """Return the distance to the nearest edge in pixels, 20 at most, of `[A,1,H,W]`.

    >>> edge_distance(torch.tensor([[[[True, False, False]]]])).flatten().tolist()
    [0.0, 1.0, 2.0]
    """
    # Squares of distances are whole numbers that 16 bits hold.
    squares = _rows_to_edge(edges).square_()
    width = edges.shape[3]
    reach = min(_FARTHEST, width - 1)
    padded = F.pad(squares, (reach, reach), value=_FARTHEST**2)
    for step in range(1, reach + 1):
        left, right = (padded[..., start : start + width] for start in (reach - step, reach + step))
        squares = torch.minimum(squares, torch.minimum(left, right).add_(step**2))
    return squares.float().sqrt_()


def _rows_to_edge(edges: Tensor) -> Tensor:
    """Return how many rows away the nearest edge of the same column is, 20 at most, int16 `[A,1,H,W]`."""
    height = edges.shape[2]
    far = torch.where(edges, 0, _FARTHEST).short()
    for step in (1, 2, 4, 8, 16):  # any distance up to 31 is a sum of some of these
        if step < height:
            nearer = far.clone()
            for here, there in ((slice(step, None), slice(None, -step)), (slice(None, -step), slice(step, None))):
                nearer[:, :, here] = torch.minimum(nearer[:, :, here], far[:, :, there] + step)
            far = nearer
    return far


def _equalized(levels: Tensor) -> Tensor:
    """Spread the levels 0 to 255 of each picture so that all are equally common."""
    spread = torch.empty_like(levels)
    for row, one in enumerate(levels):
        places = one.flatten().long()
        counts = torch.bincount(places, minlength=256)
        first = int(counts.nonzero()[0])
        rest = one.numel() - int(counts[first])
        table = torch.zeros(256)
        table[: first + 1] = first if rest == 0 else 0
        if rest:
            table[first + 1 :] = (counts[first + 1 :].cumsum(0) * (255 / rest)).round()
        spread[row] = table.index_select(0, places).view_as(one)
    return spread
