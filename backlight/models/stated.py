"""What a person or a `model.json` states about a model, laid over what its blueprint knows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from backlight.classifier.passport import FIELDS, Source
from backlight.core.errors import UsageError
from backlight.core.grammar import parse_size
from backlight.images import Resize
from backlight.models.blueprint import Blueprint

_CROPS = "center, squash, the share of the picture that is kept (0.875), or the input size in pixels (224)"


@dataclass(frozen=True)
class Stated:
    """The values that are stated; None for those that are not.

    `mean` and `std` are per channel in `[0,1]` units, `size` is (height, width), `resize` the length of the shorter
    side before the crop. `crop` is `center` or `squash`, the share that it keeps, or the input size in pixels.

    >>> Stated(mean=0.5).names
    ('mean',)
    """

    mean: float | Sequence[float] | None = None
    std: float | Sequence[float] | None = None
    size: str | int | Sequence[int] | None = None
    resize: int | None = None
    crop: str | float | None = None
    interpolation: str | None = None
    labels: tuple[str, ...] | None = None
    outputs: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of what is stated."""
        return tuple(name for name in FIELDS if getattr(self, name) is not None)

    def apply(self, blueprint: Blueprint, source: Source) -> Blueprint:
        """Return the blueprint with what is stated in place of its own, and `source` as where it comes from.

        Raises UsageError for a geometry that contradicts itself or lacks the input size, InputError as `Resize`.

        >>> blueprint = Blueprint("net", lambda shape: None, resize=Resize(256, (224, 224)))
        >>> Stated(size=112).apply(blueprint, "given").resize.shorter_side
        128
        """
        # Lists fix the number of channels where both are stated; single numbers stand for every channel.
        lengths = [len(values) for values in (self.mean, self.std) if isinstance(values, Sequence)]
        channels = max(lengths) if len(lengths) == 2 else max([*lengths, len(blueprint.mean)])
        sources = {**blueprint.sources, **dict.fromkeys(self.names, source)}
        if isinstance(_read_crop(self.crop), float):
            sources["resize"] = source
        elif isinstance(_read_crop(self.crop), int):
            sources["size"] = source
        return replace(
            blueprint,
            mean=_per_channel(blueprint.mean if self.mean is None else self.mean, channels),
            std=_per_channel(blueprint.std if self.std is None else self.std, channels),
            resize=self._geometry(blueprint.resize),
            labels=self.labels or blueprint.labels,
            outputs=self.outputs or blueprint.outputs,
            sources=sources,
        )

    @property
    def sides(self) -> tuple[int, int] | None:
        """Return the input size (height, width) that is stated, by itself or as a crop of pixels."""
        crop = _read_crop(self.crop)
        own = (crop, crop) if isinstance(crop, int) else None
        if self.size is None:
            return own
        sides = read_size(self.size)
        if own is not None and own != sides:
            raise UsageError(f"a crop of {crop} pixels and the size {sides}", expected="one input size")
        return sides

    def _geometry(self, rule: Resize | None) -> Resize | None:
        if self.sides is not None:
            rule = scaled(rule, self.sides)
        crop = _read_crop(self.crop)
        if rule is None:
            if self.resize is None and crop is None and self.interpolation is None:
                return None
            raise UsageError("a resize, crop or interpolation without the input size", hint="--size 224, or size=224")
        if isinstance(crop, float):
            if self.resize is not None:
                raise UsageError(f"resize {self.resize} and the crop {crop}", expected="one of them")
            rule = replace(rule, shorter_side=math.floor(min(rule.size) / crop))
        elif isinstance(crop, str):
            rule = replace(rule, squash=crop == "squash")
        return replace(
            rule,
            shorter_side=rule.shorter_side if self.resize is None else self.resize,
            interpolation=self.interpolation or rule.interpolation,
        )


def scaled(rule: Resize | None, size: tuple[int, int]) -> Resize:
    """Return the rule for another input size: the same share of the border is cut off as before.

    >>> scaled(Resize(256, (224, 224)), (112, 112)).shorter_side
    128
    """
    if rule is None:
        return Resize(min(size), size)
    shorter = None if rule.shorter_side is None else round(rule.shorter_side * min(size) / min(rule.size))
    return replace(rule, size=size, shorter_side=shorter)


def read_size(size: str | int | Sequence[int]) -> tuple[int, int]:
    """Read an input size (height, width) in pixels from one or two whole numbers, or as it is written: `224x192`.

    Raises UsageError for anything else.

    >>> read_size(224), read_size((224, 192)), read_size("224x192")
    ((224, 224), (224, 192), (224, 192))
    """
    if not isinstance(size, str | int | Sequence):
        raise UsageError(f"size {size!r}", expected="224, or height x width as in (224, 192)")
    if isinstance(size, str):
        return parse_size(size)
    return parse_size("x".join(map(str, size if isinstance(size, Sequence) else (size,))))


def _read_crop(crop: str | float | None) -> str | float | int | None:
    """Read a crop, which may be written as text: its name, its share as a float, its pixels as an int."""
    if crop is None or crop in ("center", "squash"):
        return crop
    try:
        number = float(crop)
    except ValueError:
        raise UsageError(f"crop {crop!r}", expected=_CROPS) from None
    if 0 < number <= 1:
        return number
    if not (math.isfinite(number) and number == int(number) and number > 1):
        raise UsageError(f"crop {crop!r}", expected=_CROPS)
    return int(number)


def _per_channel(values: float | Sequence[float], channels: int) -> tuple[float, ...]:
    given = tuple(values) if isinstance(values, Sequence) else (values,)
    return given * channels if len(given) == 1 else given
