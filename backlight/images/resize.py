"""From a photograph of any size to a model's input size, and the way back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from PIL import Image

from backlight.core.errors import InputError, did_you_mean

_INTERPOLATIONS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "hamming": Image.Resampling.HAMMING,
    "box": Image.Resampling.BOX,
}
_LONG = 64  # a strip more than this many times as long as the crop is not resized as a whole


class CropBox(NamedTuple):
    """Where a crop lies on the photograph, in its pixels: fractions and places outside are possible.

    >>> CropBox(16, 0, 240, 224).right
    240
    """

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class Resize:
    """Scale a picture's shorter side, then crop the centre, as timm's evaluation transform does.

    `size` is (height, width) of the crop, `shorter_side` the length of the picture's shorter side before it;
    None scales to the smallest picture that covers the crop. For a crop that is not square the picture is
    scaled to cover the crop enlarged by shorter_side / min(size); timm's longer side may then differ by one
    pixel, as it rounds each side by the crop's share. `squash` scales both sides to that frame
    without keeping their proportion. A crop larger than the scaled picture is filled up with black.
    Source: timm, `timm.data.transforms_factory.transforms_imagenet_eval`.

    Raises InputError for sizes below 1 and unknown interpolations.

    >>> rule = Resize(256, (224, 224))
    >>> crop, box = rule.resize(Image.new("RGB", (512, 256)))
    >>> crop.size, box
    ((224, 224), CropBox(left=144.0, top=16.0, right=368.0, bottom=240.0))
    """

    shorter_side: int | None
    size: tuple[int, int]
    interpolation: str = "bicubic"
    squash: bool = False

    def __post_init__(self) -> None:
        if len(self.size) != 2 or min(self.size) < 1:
            raise InputError(f"the input size is {self.size}", expected="(height, width), at least 1 each")
        if self.shorter_side is not None and self.shorter_side < 1:
            raise InputError(f"the shorter side is {self.shorter_side}", expected="at least 1 pixel, or None")
        if self.interpolation not in _INTERPOLATIONS:
            hint = did_you_mean(self.interpolation, _INTERPOLATIONS)
            raise InputError(f"unknown interpolation {self.interpolation!r}", hint=hint)

    @classmethod
    def from_timm(cls, config: Mapping[str, Any]) -> Resize:
        """Make the rule of a timm configuration: input_size, crop_pct, crop_mode and interpolation.

        Raises InputError as the class does.

        >>> Resize.from_timm({"input_size": (3, 224, 224), "crop_pct": 0.875, "interpolation": "bicubic"})
        Resize(shorter_side=256, size=(224, 224), interpolation='bicubic', squash=False)
        """
        height, width = config["input_size"][-2:]
        return cls(
            math.floor(min(height, width) / (config.get("crop_pct") or 0.875)),
            (height, width),
            config.get("interpolation") or "bilinear",
            config.get("crop_mode") == "squash",
        )

    def resize(self, picture: Image.Image) -> tuple[Image.Image, CropBox]:
        """Return the crop at the input size, and its place on the picture in the picture's own pixels.

        A picture that has the input size already passes through untouched.

        >>> Resize(256, (224, 224)).resize(Image.new("RGB", (224, 224)))[1]
        CropBox(left=0, top=0, right=224, bottom=224)
        """
        height, width = self.size
        if picture.size == (width, height):
            return picture, CropBox(0, 0, width, height)
        full_width, full_height = picture.size
        scaled_width, scaled_height = self._scaled(full_width, full_height)
        left, top = _margin(scaled_width, width), _margin(scaled_height, height)
        across, down = full_width / scaled_width, full_height / scaled_height
        box = CropBox(left * across, top * down, (left + width) * across, (top + height) * down)
        return self._crop(picture, (scaled_width, scaled_height), (left, top)), box

    def _scaled(self, width: int, height: int) -> tuple[int, int]:
        shorter = self.shorter_side or min(self.size)
        frame_height, frame_width = (side * shorter // min(self.size) for side in self.size)
        if self.squash:
            return frame_width, frame_height
        if frame_height != frame_width:
            ratio = min(height / frame_height, width / frame_width)
            return max(1, round(width / ratio)), max(1, round(height / ratio))
        longer = int(shorter * max(width, height) / min(width, height))
        return (shorter, longer) if width <= height else (longer, shorter)

    def _crop(self, picture: Image.Image, scaled: tuple[int, int], corner: tuple[int, int]) -> Image.Image:
        height, width = self.size
        resample = _INTERPOLATIONS[self.interpolation]
        region: list[float] = [0.0, 0.0, *map(float, picture.size)]
        target, start = list(scaled), list(corner)
        for axis, wanted in enumerate((width, height)):
            if scaled[axis] <= _LONG * wanted:
                continue
            # A whole scaled strip may not fit in memory: only the crop is made. Filters still see beyond it.
            scale = picture.size[axis] / scaled[axis]
            region[axis], region[axis + 2] = start[axis] * scale, (start[axis] + wanted) * scale
            target[axis], start[axis] = wanted, 0
        resized = picture.resize((target[0], target[1]), resample, box=tuple(region))  # type: ignore[arg-type]
        left, top = start
        return resized.crop((left, top, left + width, top + height))


def _margin(scaled: int, wanted: int) -> int:
    if scaled < wanted:
        return -((wanted - scaled) // 2)
    return round((scaled - wanted) / 2)
