"""What programs and formats do to pictures: elastic deformation, pixelation, JPEG."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from backlight.core.random import Random
from backlight.corrupt.severities import Constants
from backlight.images.blur import Edges, gaussian_blur


def pixelate(images: Tensor, constants: Constants, random: Random) -> Tensor:
    """Shrink to the share `constants[0]` of each side by averaging, and enlarge again by repeating."""
    height, width = images.shape[2:]
    small = (max(1, int(height * constants[0])), max(1, int(width * constants[0])))
    # As Pillow's box filter: across first, rounded to 8 bits after each direction, and up by the nearest pixel.
    shrunk = _rounded(torch.cat([images[..., near] @ box.T for near, box in _boxes(width, small[1])], 3))
    shrunk = _rounded(torch.cat([box @ shrunk[..., near, :] for near, box in _boxes(height, small[0])], 2))
    rows, columns = (((torch.arange(side) + 0.5) * few / side).long() for side, few in zip((height, width), small))
    return shrunk.index_select(3, columns).index_select(2, rows)


def _rounded(images: Tensor) -> Tensor:
    return images.mul_(255).add_(0.5 + 1e-3).floor_().div_(255)


_BAND = 16


@lru_cache(maxsize=64)
def _boxes(count: int, wanted: int) -> tuple[tuple[slice, Tensor], ...]:
    """Return the averages for each band of places, with the places that they are of: the whole is mostly zeros."""
    matrix = _box_matrix(count, wanted)
    bands = [matrix[start : start + _BAND] for start in range(0, wanted, _BAND)]
    reached = [band.any(0).nonzero()[:, 0] for band in bands]
    near = [slice(int(places[0]), int(places[-1]) + 1) for places in reached]
    return tuple((places, band[:, places].contiguous()) for places, band in zip(near, bands))


def _box_matrix(count: int, wanted: int) -> Tensor:
    scale = count / wanted
    support = 0.5 * max(scale, 1)
    matrix = torch.zeros(wanted, count)
    for row in range(wanted):
        center = (row + 0.5) * scale
        first, last = max(0, int(center - support + 0.5)), min(count, int(center + support + 0.5))
        offsets = (torch.arange(first, last, dtype=torch.float64) - center + 0.5) / max(scale, 1)
        weights = ((offsets > -0.5) & (offsets <= 0.5)).float()
        matrix[row, first:last] = weights / weights.sum()
    return matrix


def jpeg(images: Tensor, constants: Constants, random: Random) -> Tensor:
    """Compress with the quality `constants[0]` and read back."""
    pixels = (images * 255).round_().byte().numpy()
    read = [_through_jpeg(one, int(constants[0])) for one in pixels]
    return torch.from_numpy(np.stack(read)).permute(0, 3, 1, 2).float().div_(255)


def _through_jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    """Compress one picture `[C,H,W]` and read it back, `[H,W,C]`."""
    # Pillow puts channels together faster than a copy in another order does.
    bands, stream = [Image.fromarray(band) for band in pixels], io.BytesIO()
    picture = Image.merge("RGB", bands) if len(bands) == 3 else bands[0]
    picture.save(stream, "JPEG", quality=quality)
    # The decoder itself: what `Image.open` does to find out what a file is takes as long on small pictures.
    read = Image.frombytes(picture.mode, picture.size, stream.getvalue(), "jpeg", picture.mode, "")
    return np.asarray(read).reshape(*pixels.shape[1:], len(bands))


def elastic(images: Tensor, constants: Constants, random: Random) -> Tensor:
    """Shift three points of a picture, then every pixel by a smooth random field.

    `constants` are the length of the field's shifts, its smoothness and the points' shifts, all in pixels
    (Simard, Steinkraus and Platt 2003).
    """
    length, sigma, jitter = constants
    height, width = images.shape[2:]
    y = torch.arange(height, dtype=torch.float32)[:, None]
    x = torch.arange(width, dtype=torch.float32)
    affine = _affine(random, height, width, jitter).float()[:, :, :, None, None]
    rows = affine[:, 0, 0] * y + affine[:, 0, 1] * x + affine[:, 0, 2]
    columns = affine[:, 1, 0] * y + affine[:, 1, 1] * x + affine[:, 1, 2]
    moved = sample(images, rows, columns, "reflect")
    if length == 0:
        return moved
    field = random.words(2, height, width, stream="field").float() / 2**15
    field = gaussian_blur(field, sigma, "symmetric", truncate=3.0) * length
    return sample(moved, y + field[:, 0], x + field[:, 1], "symmetric")


def _affine(random: Random, height: int, width: int, jitter: float) -> Tensor:
    """Return for each picture the map from the place of a new pixel to where it comes from, float64 `[A,2,3]`."""
    middle = torch.tensor([height // 2, width // 2], dtype=torch.float64)
    square = min(height, width) // 3
    corners = torch.tensor([[square, square], [-square, square], [-square, -square]], dtype=torch.float64)
    points = middle + corners
    shifted = points + (random.uniform(3, 2, stream="points", dtype=torch.float64) * 2 - 1) * jitter
    ones = torch.ones(len(random), 3, 1, dtype=torch.float64)
    solved = torch.linalg.solve(torch.cat([shifted, ones], 2), points.expand(len(random), -1, -1))
    return solved.transpose(1, 2)


def sample(images: Tensor, rows: Tensor, columns: Tensor, edges: Edges) -> Tensor:
    """Read pictures `[A,C,H,W]` between their pixels, at `rows` and `columns` `[A,H,W]`, linearly.

    >>> image = torch.tensor([[[[0.0, 1.0]]]])
    >>> sample(image, torch.zeros(1, 1, 2), torch.tensor([[[0.5, 1.0]]]), "reflect")
    tensor([[[[0.5000, 1.0000]]]])
    """
    height, width = images.shape[2:]
    mode, corners = _MODES[edges]
    if corners:
        grid = torch.stack([columns * (2 / max(1, width - 1)) - 1, rows * (2 / max(1, height - 1)) - 1], -1)
    else:
        grid = torch.stack([(columns * 2 + 1) / width - 1, (rows * 2 + 1) / height - 1], -1)
    return F.grid_sample(images, grid, padding_mode=mode, align_corners=corners)


# Between -1 and 1 lie the middles of the first and last pixel, or their outer edges, behind which `symmetric` mirrors.
_MODES = {"replicate": ("border", True), "reflect": ("reflection", True), "symmetric": ("reflection", False)}
