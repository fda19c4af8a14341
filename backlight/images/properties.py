"""Numbers that describe a photograph: light, color, sharpness, shape, compression."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import reduce

import numpy as np
from PIL import Image, ImageFilter, ImageStat

LONGEST = 640
"""A longer side is reduced before anything but the shape is measured: what is asked for does not need more."""

JPEG_QUALITY = "jpeg_quality"
"""Under this name the quality of a JPEG file is kept in the `info` of its decoded picture."""

_SMALL = 64  # the longer side at which blur is judged, and the rule's constants
_BLUR_SCALE, _FLAT = 0.01, 0.18
_FRAME = 16  # the border is a sixteenth of the shorter side wide
_WEIGHTS = (0.241, 0.691, 0.068)
# Steps of the luminance table at quality 50 (ITU-T T.81, annex K), sorted.
_STANDARD = (
    *(10, 11, 12, 12, 13, 14, 14, 14, 16, 16, 16, 17, 18, 19, 22, 22, 24, 24, 24, 26, 29, 35),
    *(37, 40, 40, 49, 51, 51, 55, 55, 56, 56, 57, 58, 60, 61, 62, 64, 64, 68, 69, 72, 77, 78),
    *(80, 81, 87, 87, 92, 92, 95, 98, 99, 100, 101, 103, 103, 103, 104, 109, 112, 113, 120, 121),
)
_LARGEST_STEP = 255  # larger ones are cut off


def picture_properties(picture: Image.Image) -> dict[str, float]:
    """Measure a picture: what `PROPERTIES` and `HEALTH` of `backlight.audit.kept` name.

    brightness, contrast   mean and standard deviation of luminance sqrt(.241 R^2 + .691 G^2 + .068 B^2), 0 to 1
    luminance_1, _5, _99   its percentiles
    saturation, hue        mean saturation; the mean hue as an angle weighted by saturation; 0 to 1
    colorfulness           the largest difference between channels of a pixel, 0 to 1; 0 is grey
    sharpness              mean absolute Laplacian of grey, 0 to 1
    blur_score             from edges at 64 px and the evenness of the histogram, 0 to 1; blurred is below .29
    entropy                of the histogram of all channels, in bits
    border_red, ...        the mean color of the border, a sixteenth of the shorter side wide
    height, width, size, aspect   in pixels; the root of the area; shorter by longer side
    jpeg_quality           1 to 100, 100 where the file was no JPEG

    Source of brightness, percentiles, entropy and blur: the rules of cleanvision 0.3.

    >>> found = picture_properties(Image.new("RGB", (64, 32), (255, 0, 0)))
    >>> found["aspect"], found["saturation"], round(found["brightness"], 4), found["border_red"]
    (0.5, 1.0, 0.4909, 1.0)
    """
    width, height = picture.size
    rgb = _reduced(picture).convert("RGB")
    # One channel at a time: memory that lies apart costs several times as much.
    channels = [np.asarray(one) for one in rgb.split()]
    light = _light(channels)
    low, dim, high = np.percentile(light, (1, 5, 99))
    saturation, hue = _saturation_and_hue(rgb)
    border = _border(channels)
    return {
        "brightness": _brightness([float(one.mean()) for one in channels]),
        "contrast": float(light.std()),
        "saturation": saturation,
        "sharpness": _sharpness(channels),
        "entropy": rgb.entropy(),
        "aspect": min(width, height) / max(width, height),
        "size": math.sqrt(width * height),
        "hue": hue,
        JPEG_QUALITY: float(picture.info.get(JPEG_QUALITY, 100.0)),
        "border_red": border[0],
        "border_green": border[1],
        "border_blue": border[2],
        "luminance_1": float(low),
        "luminance_5": float(dim),
        "luminance_99": float(high),
        "blur_score": _blur_score(rgb),
        "colorfulness": _colorfulness(channels),
        "height": float(height),
        "width": float(width),
    }


def jpeg_quality(tables: Mapping[int, Sequence[int]]) -> float:
    """Estimate the quality, 1 to 100, that a JPEG's quantization tables stand for, as the IJG's library scales them.

    >>> jpeg_quality({0: [16] * 64}) < jpeg_quality({0: [2] * 64})
    True
    """
    steps = sorted(one for one in tables[min(tables)] if one < _LARGEST_STEP)[: len(_STANDARD)] if tables else []
    scale = 100 * sum(steps) / sum(_STANDARD[: len(steps)]) if steps else 5000.0
    return float(np.clip((200 - scale) / 2 if scale <= 100 else 5000 / scale, 1, 100))


def _reduced(picture: Image.Image) -> Image.Image:
    factor = -(-max(picture.size) // LONGEST)
    return picture if factor == 1 else picture.reduce(min(factor, *picture.size))


def _brightness(mean: Sequence[float]) -> float:
    return math.sqrt(sum(weight * one * one for weight, one in zip(_WEIGHTS, mean))) / 255


def _light(channels: Sequence[np.ndarray]) -> np.ndarray:
    """Compute the luminance of each pixel, float64 `[H,W]`, 0 to 1."""
    squares = np.arange(256.0) ** 2
    light, part = np.empty((2, *channels[0].shape))
    np.take(_WEIGHTS[0] * squares, channels[0], out=light, mode="clip")  # no index is outside; others would be checked
    for weight, channel in zip(_WEIGHTS[1:], channels[1:]):
        light += np.take(weight * squares, channel, out=part, mode="clip")
    np.sqrt(light, out=light)
    light /= 255
    return light


def _saturation_and_hue(rgb: Image.Image) -> tuple[float, float]:
    turn, weight = (np.asarray(one).ravel() for one in rgb.convert("HSV").split()[:2])
    total = float(weight.sum(dtype=np.int64))
    if not total:
        return 0.0, 0.0
    turns = np.bincount(turn, weights=weight, minlength=256)
    angle = np.arange(256) * (2 * np.pi / 256)
    mean = math.atan2(turns @ np.sin(angle), turns @ np.cos(angle)) / (2 * np.pi)
    return total / len(weight) / 255, mean % 1.0


def _colorfulness(channels: Sequence[np.ndarray]) -> float:
    return float((reduce(np.maximum, channels) - reduce(np.minimum, channels)).max()) / 255


def _sharpness(channels: Sequence[np.ndarray]) -> float:
    grey = channels[0].astype(np.float32)
    for channel in channels[1:]:
        grey += channel
    grey /= len(channels)
    if min(grey.shape) < 3:
        return 0.0
    around = grey[:-2, 1:-1] + grey[2:, 1:-1]
    around += grey[1:-1, :-2]
    around += grey[1:-1, 2:]
    grey *= 4
    around -= grey[1:-1, 1:-1]
    return float(np.abs(around, out=around).mean()) / (8 * 255)


def _blur_score(rgb: Image.Image) -> float:
    ratio = max(rgb.size) / _SMALL
    small = rgb.resize((max(1, int(rgb.width // ratio)), max(1, int(rgb.height // ratio)))) if ratio > 1 else rgb
    grey = small.convert("L")
    edges = math.sqrt(ImageStat.Stat(grey.filter(ImageFilter.FIND_EDGES)).var[0])
    # A histogram of few peaks is a drawing or a page: few edges do not make that blurred.
    flat = 1 - math.exp(-_BLUR_SCALE * float(np.std(grey.histogram())))
    return min(1.0, 1 - math.exp(-_BLUR_SCALE * edges) + (flat if flat > _FLAT else 0.0))


def _border(channels: Sequence[np.ndarray]) -> list[float]:
    wide = max(1, min(channels[0].shape) // _FRAME)
    rows = slice(wide, -wide)
    found = []
    for channel in channels:
        parts = channel[:wide], channel[-wide:], channel[rows, :wide], channel[rows, -wide:]
        total = sum(int(part.sum(dtype=np.int64)) for part in parts)
        found.append(total / sum(part.size for part in parts) / 255)
    return found
