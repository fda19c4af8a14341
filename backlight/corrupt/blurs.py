"""Blur: gaussian, defocus, glass, motion, zoom."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from backlight.core.random import Random
from backlight.corrupt.filters import filter_pictures, pad
from backlight.corrupt.severities import Constants
from backlight.images.blur import gaussian_blur as blur


def gaussian_blur(images: Tensor, constants: Constants, random: Random) -> Tensor:
    """Blur by a Gaussian of `constants[0]` pixels, edges repeated."""
    return blur(images, constants[0], "replicate")


def defocus_blur(images: Tensor, constants: Constants, random: Random) -> Tensor:
    """Blur by a disk of radius `constants[0]`, itself smoothed by a Gaussian of `constants[1]`; edges mirrored."""
    return filter_pictures(images, disk(*constants), "reflect")


def disk(radius: float, alias: float) -> Tensor:
    """Return the kernel of a lens out of focus, `[k,k]`: a disk smoothed by a Gaussian of `alias` pixels.

    >>> int((disk(3, 0) > 0).sum()), disk(10, 0.5).shape
    (29, torch.Size([21, 21]))
    """
    reach, window = (8, 3) if radius <= 8 else (math.ceil(radius), 5)
    places = torch.arange(-reach, reach + 1, dtype=torch.float64)
    inside = (places[:, None] ** 2 + places**2 <= radius**2).double()
    kernel = inside / inside.sum()
    if alias <= 0:
        return kernel
    offsets = torch.arange(window, dtype=torch.float64) - window // 2
    weights = torch.exp(-0.5 * (offsets / alias) ** 2)
    weights = weights / weights.sum()
    smooth = weights[:, None] * weights
    margin = window // 2
    padded = F.pad(kernel[None, None], (margin,) * 4, mode="reflect")
    # A wide disk touches its border, is mirrored there and gains up to 1%: so it is in the published pictures.
    return F.conv2d(padded, smooth[None, None])[0, 0]


def motion_blur(images: Tensor, constants: Constants, random: Random) -> Tensor:
    """Blur along a line whose angle is drawn between -45 and 45 degrees."""
    radius, sigma = constants
    angles = random.uniform(stream="angle", dtype=torch.float64) * 90 - 45
    return smear(images, angles, int(radius), sigma)


def smear(images: Tensor, angles: Tensor, radius: int, sigma: float) -> Tensor:
    """Add shifted copies of each picture `[A,C,H,W]` along a line at its angle in degrees, edges repeated.

    The weights of `2 * radius + 1` steps are half a Gaussian of `sigma` pixels.

    >>> smear(torch.ones(1, 1, 4, 4), torch.zeros(1), 2, 1.0).allclose(torch.ones(1, 1, 4, 4))
    True
    """
    height, width = images.shape[2:]
    weights = motion_weights(radius, sigma)
    steps = torch.arange(len(weights), dtype=torch.float64)
    turned = torch.deg2rad(angles.double())[:, None]
    reach = len(weights) - 1
    starts = torch.stack([(steps * turned.sin() - 0.5).ceil(), (steps * turned.cos() - 0.5).ceil()], 2) + reach
    padded = pad(images, reach, "replicate")
    smeared = torch.zeros_like(images)
    for row, places in enumerate(starts.int().tolist()):
        for (top, left), weight in zip(places, weights.tolist()):
            if weight > _FAINT:
                smeared[row].add_(padded[row, :, top : top + height, left : left + width], alpha=weight)
    return smeared


_FAINT = 1e-6  # a weight that no level of 8 bits shows


def motion_weights(radius: int, sigma: float) -> Tensor:
    """Return the weights of `2 * radius + 1` steps along a line: half a Gaussian, sum 1.

    >>> motion_weights(6, 1)[:3]
    tensor([0.5703, 0.3459, 0.0772], dtype=torch.float64)
    """
    steps = torch.arange(2 * radius + 1, dtype=torch.float64)
    weights = torch.exp(-0.5 * (steps / sigma) ** 2)
    return weights / weights.sum()


def zoom_blur(images: Tensor, constants: Constants, random: Random) -> Tensor:
    """Average a picture with itself enlarged around its centre, in steps up to `constants[0]`."""
    last, step = constants
    # numpy's own rounding decides whether the last factor is in: so it is in the published pictures.
    factors = np.arange(1, last, step).tolist()
    total = images.clone()
    for factor in factors:
        total += clipped_zoom(images, factor)
    return total / (len(factors) + 1)


def clipped_zoom(images: Tensor, factor: float) -> Tensor:
    """Enlarge pictures `[A,C,H,W]` around their centre, by linear interpolation from corner to corner.

    >>> clipped_zoom(torch.ones(1, 1, 8, 8), 1.5).shape
    torch.Size([1, 1, 8, 8])
    """
    if factor == 1:
        return images
    height, width = images.shape[2:]
    crop = [math.ceil(side / factor) for side in (height, width)]
    top, left = (height - crop[0]) // 2, (width - crop[1]) // 2
    part = images[:, :, top : top + crop[0], left : left + crop[1]]
    size = [max(side, round(one * factor)) for side, one in zip((height, width), crop)]
    large = F.interpolate(part, size=size, mode="bilinear", align_corners=True)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    return large[:, :, top : top + height, left : left + width]


def glass_blur(images: Tensor, constants: Constants, random: Random) -> Tensor:
    """Blur, let every pixel take the place of a neighbour, several times over, and blur again."""
    sigma, reach, passes = constants[0], int(constants[1]), int(constants[2])
    blurred = to_levels(blur(images, sigma, "replicate"))
    height, width = images.shape[2:]
    if min(height, width) > 2 * reach:
        flat = blurred.flatten(2)
        for number in range(passes):
            sources = _shuffled(random.fork(("glass", number)), height, width, reach)
            flat = flat.gather(2, sources[:, None].expand(-1, images.shape[1], -1))
        blurred = flat.view(images.shape)
    return blur(blurred, sigma, "replicate")


def to_levels(images: Tensor) -> Tensor:
    """Return values cut to [0,1] and down to multiples of 1/255, as a conversion to bytes does.

    >>> to_levels(torch.tensor([0.5, 2.0])) * 255
    tensor([127., 255.])
    """
    # A float just below a whole level means that level.
    return images.clamp(0, 1).mul_(255).add_(1e-3).floor_().div_(255)


def _shuffled(random: Random, height: int, width: int, reach: int) -> Tensor:
    """Return where each pixel comes from, `[A, height * width]`, when each copies a neighbour drawn for it.

    Pixels are visited from the last row and column to the first, and a copy of one that was visited before is the
    copy that stands there by then: a chain of pointers, followed by doubling.
    """
    shifts = random.integer(2 * reach, 2, height, width, stream="shift") - reach
    rows, columns = torch.arange(height)[:, None], torch.arange(width)
    moves = ((rows > reach) & (rows <= height - reach)) & ((columns > reach) & (columns <= width - reach))
    own = (rows * width + columns).expand(len(random), -1, -1)
    taken = torch.where(moves, own + shifts[:, 0] * width + shifts[:, 1], own)
    visited = moves.expand_as(own).flatten(1).gather(1, taken.flatten(1)).view_as(own)
    chained = visited & (taken > own) & moves
    # Where the chain ends, the next pixel is the source itself.
    sources = taken.flatten(1)
    follow = torch.where(chained, taken, own).flatten(1)
    while True:
        further = follow.gather(1, follow)
        if bool((further == follow).all()):
            break
        follow = further
    return sources.gather(1, follow)
