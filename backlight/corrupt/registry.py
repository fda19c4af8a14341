"""Every corruption by name: its group, where its constants come from, and when not to use it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from backlight.core.errors import UsageError
from backlight.core.plugins import Registry
from backlight.core.random import Random
from backlight.corrupt import blurs, colors, digital, noise, spatter, weather
from backlight.corrupt.severities import Constants

Corruption = Callable[[Tensor, Constants, Random], Tensor]
"""From pictures `[A,C,H,W]` in [0,1], the constants of a severity and keyed random numbers to pictures."""

_PUBLISHED = "Hendrycks and Dietterich, 2019, arXiv:1903.12261"


@dataclass(frozen=True)
class CorruptionCard:
    """One kind of corruption.

    `group` is noise, blur, weather or digital; `constants` names the kind whose published severities it takes;
    `colored` says that it needs three channels; `counted` that it is one of the fifteen of the mean corruption
    error.

    >>> CORRUPTIONS["fog"].group
    'weather'
    """

    name: str
    function: Corruption
    group: str
    reference: str = _PUBLISHED
    avoid: str = ""
    constants: str = ""
    colored: bool = False
    counted: bool = True


def _card(
    name: str, function: Corruption, group: str, avoid: str, *, colored: bool = False, counted: bool = True
) -> CorruptionCard:
    return CorruptionCard(name, function, group, avoid=avoid, constants=name, colored=colored, counted=counted)


_CARDS = (
    _card("gaussian_noise", noise.gaussian_noise, "noise", "noise of dark pictures, which is rather shot noise"),
    _card("shot_noise", noise.shot_noise, "noise", "noise of amplifiers, which does not depend on the light"),
    _card("impulse_noise", noise.impulse_noise, "noise", "modern sensors: dead pixels and bad wires make it"),
    _card("defocus_blur", blurs.defocus_blur, "blur", "blur of compression or of resizing"),
    _card("glass_blur", blurs.glass_blur, "blur", "blur of lenses: frosted glass makes it"),
    _card("motion_blur", blurs.motion_blur, "blur", "shaken cameras: every picture has one straight motion"),
    _card("zoom_blur", blurs.zoom_blur, "blur", "cameras that do not move towards what they see"),
    _card("snow", weather.snow, "weather", "real snow: it is drawn", colored=True),
    _card("fog", weather.fog, "weather", "depth: it is as dense near by as far away"),
    _card("brightness", weather.brightness, "weather", "dark pictures: it only brightens", colored=True),
    _card("contrast", colors.contrast, "digital", "pictures of one brightness, which it leaves as they are"),
    _card("elastic", digital.elastic, "digital", "classes that differ by exact shape, such as digits"),
    _card("pixelate", digital.pixelate, "digital", "small pictures at low severities, where little changes"),
    _card("jpeg", digital.jpeg, "digital", "pictures that were compressed as hard before"),
    _card("speckle_noise", noise.speckle_noise, "noise", "dark pictures, on which it does little", counted=False),
    _card("gaussian_blur", blurs.gaussian_blur, "blur", "lenses out of focus: see defocus_blur", counted=False),
    _card("spatter", spatter.spatter, "weather", "real drops: they are drawn", colored=True, counted=False),
    _card("saturate", colors.saturate, "digital", "grey pictures", colored=True, counted=False),
    CorruptionCard(
        "frost_like",
        weather.frost_like,
        "weather",
        reference="drawn by this program; severities as frost in arXiv:1903.12261",
        avoid="numbers that are compared with published ones: frost with a folder of photographs is for that",
        constants="frost",
        colored=True,
        counted=False,
    ),
)


def _own(name: str, function: Corruption) -> CorruptionCard:
    return CorruptionCard(name, function, "own", reference="", counted=False)


CORRUPTIONS = Registry("corruptions", "corruption", _CARDS, CorruptionCard, wrap=_own)
FIFTEEN = (
    *("gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    *("snow", "frost", "fog", "brightness", "contrast", "elastic", "pixelate", "jpeg"),
)
"""The kinds of the mean corruption error, in the order of publications."""

PUBLISHED_NAMES = {"elastic": "elastic_transform", "jpeg": "jpeg_compression"}
"""What kinds are called in published sets where they have a shorter name here."""
_OURS = {published: name for name, published in PUBLISHED_NAMES.items()}


def frost_card(function: Corruption) -> CorruptionCard:
    """Return the card of `frost`, which needs photographs: see `weather.frost_of`."""
    return CorruptionCard("frost", function, "weather", avoid="", constants="frost", colored=True)


def corruption_of(kind: str | CorruptionCard | Corruption) -> CorruptionCard:
    """Find a corruption by name, hyphen and underscore alike, as `file.py:function`, of a function, or as it is.

    Published names of files, such as `jpeg_compression`, are known too.

    Raises UsageError that lists the nearest names; for `frost` it says what is needed.

    >>> corruption_of("zoom-blur").group
    'blur'
    """
    if kind == "frost":
        raise UsageError("frost needs photographs of frost", hint="--frost FOLDER, or frost_like, which is drawn")
    return CORRUPTIONS.find(_OURS.get(kind.replace("-", "_"), kind) if isinstance(kind, str) else kind)


def stored_card(kind: str) -> CorruptionCard:
    """Return the card of a kind whose pictures are stored: frost is frost there, and unknown kinds count for nothing.

    >>> stored_card("frost").counted, stored_card("rain").group
    (True, 'own')
    """
    if kind == "frost":
        return frost_card(_stored)
    return CORRUPTIONS.built_in.get(kind) or _own(kind, _stored)


def _stored(images: Tensor, constants: Constants, random: Random) -> Tensor:
    raise UsageError("pictures that are stored are not corrupted again", expected="a kind that is made here")
