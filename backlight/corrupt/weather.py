"""Weather: snow, fog, frost from photographs, a drawn likeness of frost, and brightness."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from backlight.core.errors import InputError
from backlight.core.random import Random
from backlight.corrupt.blurs import clipped_zoom, smear, to_levels
from backlight.corrupt.colors import luminance, value_of
from backlight.corrupt.noise import draw_normal
from backlight.corrupt.severities import Constants
from backlight.images.blur import gaussian_blur

_WIBBLE = 100.0
_NEEDLE = 2**15 - 911  # one pixel of 72 begins a needle
_PARTS = ("square", "across", "down")


def snow(images: Tensor, constants: Constants, random: Random) -> Tensor:
    """Whiten a picture and let flakes fall over it, streaked by their motion."""
    mean, deviation, zoom, threshold, radius, sigma, mix = constants
    height, width = images.shape[2:]
    layer = clipped_zoom(draw_normal(random, (1, height, width), "snow") * deviation + mean, zoom)
    layer = to_levels(torch.where(layer < threshold, 0.0, layer))
    angles = random.uniform(stream="angle", dtype=torch.float64) * -90 - 45
    layer = to_levels(smear(layer, angles, int(radius), sigma))
    whiter = torch.maximum(images, luminance(images) * 1.5 + 0.5)
    return mix * images + (1 - mix) * whiter + layer + layer.flip(2, 3)


def fog(images: Tensor, constants: Constants, random: Random) -> Tensor:
    """Lay a cloud over a picture, keeping its brightest value."""
    amount, decay = constants
    height, width = images.shape[2:]
    cloud = plasma(random, max(height, width), decay)[:, None, :height, :width]
    brightest = images.amax((1, 2, 3), keepdim=True)
    return (images + amount * cloud) * brightest / (brightest + amount)


def plasma(random: Random, side: int, decay: float) -> Tensor:
    """Draw clouds `[A, s, s]` in [0,1] by the diamond-square algorithm; s is the next power of 2 from `side`.

    Each finer level's noise is `decay` times weaker in its root (Fournier, Fussell and Carpenter 1982).

    >>> plasma(Random(0, [7]), 32, 2.0).shape
    torch.Size([1, 32, 32])
    """
    size = 1 << (side - 1).bit_length()
    cloud = torch.zeros(len(random), size, size, dtype=torch.float64)
    step, wibble = size, _WIBBLE
    steps = [size >> level for level in range(size.bit_length() - 1)]
    drawn = random.words_of({(one, part): (size // one,) * 2 for one in steps for part in _PARTS})
    while step >= 2:
        half = step // 2
        corners = cloud[:, ::step, ::step]
        around = corners + corners.roll(-1, 1)
        centers = _wibbled(around + around.roll(-1, 2), wibble, drawn[step, "square"])
        cloud[:, half::step, half::step] = centers
        sides = centers + centers.roll(1, 1) + corners + corners.roll(-1, 2)
        cloud[:, ::step, half::step] = _wibbled(sides, wibble, drawn[step, "across"])
        sides = centers + centers.roll(1, 2) + corners + corners.roll(-1, 1)
        cloud[:, half::step, ::step] = _wibbled(sides, wibble, drawn[step, "down"])
        step, wibble = half, wibble / decay
    cloud -= cloud.amin((1, 2), keepdim=True)
    most = cloud.amax((1, 2), keepdim=True)
    return (cloud / torch.where(most > 0, most, 1)).float()


def _wibbled(sums: Tensor, wibble: float, drawn: Tensor) -> Tensor:
    return sums / 4 + wibble * wibble * (drawn.double() / 2**15)


def brightness(images: Tensor, constants: Constants, random: Random) -> Tensor:
    """Raise the value of HSV by `constants[0]`, hue and saturation as they were."""
    value = value_of(images)
    raised = (value + constants[0]).clamp(0, 1)
    return torch.where(value > 0, images / torch.where(value > 0, value, 1) * raised, raised)


def frost_of(photographs: Sequence[Tensor]) -> Frost:
    """Make the corruption `frost` from photographs of frost, each `[3,h,w]` in [0,1].

    Raises InputError for none.

    >>> frost_of([torch.ones(3, 8, 8)])(torch.zeros(1, 3, 4, 4), (1, 0.5), Random(0, [1])).mean()
    tensor(0.5000)
    """
    if not photographs:
        raise InputError("no photograph of frost", expected="at least one", hint="--frost FOLDER")
    return Frost(tuple(photographs))


class Frost:
    """Mix pictures with a random part of a photograph of frost."""

    def __init__(self, photographs: tuple[Tensor, ...]) -> None:
        self.photographs = photographs

    def __call__(self, images: Tensor, constants: Constants, random: Random) -> Tensor:
        """Corrupt pictures `[A,3,H,W]`: constants are the weights of picture and frost."""
        height, width = images.shape[2:]
        chosen = random.integer(len(self.photographs), stream="photograph").tolist()
        corners = random.uniform(2, stream="corner", dtype=torch.float64).tolist()
        parts = [self._part(one, corner, height, width) for one, corner in zip(chosen, corners)]
        return constants[0] * images + constants[1] * torch.stack(parts).to(images)

    def _part(self, chosen: int, corner: list[float], height: int, width: int) -> Tensor:
        photograph = self.photographs[chosen]
        shrink = max(height / photograph.shape[1], width / photograph.shape[2])
        # Small pictures see a small copy, as in CIFAR-10-C; photographs that are too small are enlarged.
        factor = max(shrink, 0.2 if min(height, width) <= 96 else 1.0)
        if factor != 1:
            size = [max(side, round(one * factor)) for side, one in zip((height, width), photograph.shape[1:])]
            mode = "area" if factor < 1 else "bilinear"
            photograph = torch.nn.functional.interpolate(photograph[None], size=size, mode=mode)[0]
        top = int(corner[0] * (photograph.shape[1] - height + 1))
        left = int(corner[1] * (photograph.shape[2] - width + 1))
        return photograph[:, top : top + height, left : left + width]


def frost_like(images: Tensor, constants: Constants, random: Random) -> Tensor:
    """Mix pictures with drawn ice: bright needles over a cloud. No photograph: not the published frost."""
    height, width = images.shape[2:]
    needles = torch.zeros(len(images), 1, height, width)
    side = min(height, width)
    for number, angle in enumerate((20.0, 75.0, 130.0)):
        drawn = random.words(1, height, width, stream=f"needles-{number}")
        seeds = torch.where(drawn >= _NEEDLE, 1.0, 0.0)
        jitter = random.uniform(stream=("angle", number), dtype=torch.float64) * 30 - 15
        streaks = smear(seeds, angle + jitter, max(2, side // 16), max(1.0, side / 24))
        needles = torch.maximum(needles, streaks * (side / 12) ** 0.5)
    cloud = plasma(random.fork("frost"), max(height, width), 1.8)[:, None, :height, :width]
    ice = (0.55 * cloud + 0.6 * gaussian_blur(needles.clamp(0, 1), 0.6, "replicate")).clamp(0, 1)
    tint = torch.tensor([0.86, 0.93, 1.0]).view(1, 3, 1, 1)
    return constants[0] * images + constants[1] * ice * tint
