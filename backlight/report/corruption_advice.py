"""In words: which corruptions hurt, by more than chance, and what answers them, at the camera and in training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backlight.corrupt.registry import CORRUPTIONS
from backlight.corrupt.results import KindResult
from backlight.corrupt.study import CorruptionStudy

_LEAST = 0.02  # a fall of less is no weakness


@dataclass(frozen=True)
class Remedy:
    """What a kind is like in life, and what keeps it away from the model.

    >>> remedy_of("jpeg").like
    'hard compression'
    """

    like: str
    remedy: str


@dataclass(frozen=True)
class Weakness:
    """A kind or a group that costs accuracy: the share of all pictures that it costs on average, and what answers it.

    >>> Weakness("fog", 0.1, remedy_of("fog"), "corruptions:kinds=fog").loss
    0.1
    """

    name: str
    loss: float
    answer: Remedy
    augmentation: str


_SHARPER = "focus, a smaller aperture, and pictures that reach the model at full resolution"
_STILL = "a shorter exposure, or a steadier camera"
_LIGHT = "more light, or the mean of several shots"
_REMEDIES: Mapping[str, Remedy] = {
    "gaussian_noise": Remedy("grain, as in poor light", _LIGHT),
    "shot_noise": Remedy("grain, where few photons arrive", _LIGHT),
    "impulse_noise": Remedy("dead and bright pixels", "masking the sensor's dead pixels, or a median filter"),
    "speckle_noise": Remedy("grain that grows with the light, as in ultrasound and radar", "the mean of several shots"),
    "defocus_blur": Remedy("a lens out of focus", _SHARPER),
    "gaussian_blur": Remedy("soft pictures", _SHARPER),
    "glass_blur": Remedy("a view through frosted glass", "clean lenses and covers, and pictures at full resolution"),
    "motion_blur": Remedy("a camera that shakes", _STILL),
    "zoom_blur": Remedy("a camera that moves towards what it sees", _STILL),
    "snow": Remedy("falling snow", "pictures of such days among those for training"),
    "frost": Remedy("ice on the lens", "a heated or covered lens"),
    "frost_like": Remedy("ice on the lens", "a heated or covered lens"),
    "fog": Remedy("fog", "pictures of such days among those for training"),
    "spatter": Remedy("drops and mud on the lens", "a clean or covered lens"),
    "brightness": Remedy("too much light", "a shorter exposure"),
    "contrast": Remedy("pale pictures, as in haze", "stretching contrast in the same way in training and at work"),
    "saturate": Remedy("pale or gaudy colors", "the same white balance in training and at work"),
    "elastic": Remedy("bent surfaces", "straightening pictures first, where how they are bent is known"),
    "pixelate": Remedy("pictures enlarged from few pixels", "pictures at the resolution of those for training"),
    "jpeg": Remedy("hard compression", "a higher quality, or the same one in training and at work"),
}
_GROUPS: Mapping[str, tuple[Remedy, str]] = {
    "noise": (Remedy("noise of sensors and wires", _LIGHT), "corruptions:kinds=noise,severity=3"),
    "blur": (Remedy("blur", _SHARPER), "corruptions:kinds=blur,severity=3"),
    "weather": (Remedy("weather and light", "pictures of such days among those for training"), "augmix"),
    "digital": (
        Remedy("contrast, resizing and compression", "resizing and compressing at work as in training"),
        "corruptions:kinds=digital,severity=3",
    ),
}
_STABLE: Mapping[str, str] = {
    "resize_method": "resizing at work as in training",
    "jpeg": "compressing at work as in training, or --augment corruptions:kinds=jpeg",
    "brightness": "--augment corruptions:kinds=brightness+contrast in training",
}


def remedy_of(kind: str) -> Remedy:
    """Return what a kind is like and what keeps it away; of kinds of others nothing is known.

    >>> remedy_of("rain").remedy
    'such pictures among those for training'
    """
    return _REMEDIES.get(kind, Remedy(kind.replace("_", " "), "such pictures among those for training"))


def clearly_worst(study: CorruptionStudy, count: int = 3) -> list[tuple[KindResult, Weakness]]:
    """Return the kinds that cost most accuracy, largest loss first.

    Only kinds whose interval at the highest severity lies below the clean accuracy.
    """
    losses = [(one, study.reference - one.mean) for one in study.kinds.values()]
    real = [pair for pair in losses if pair[0].interval[-1][1] < study.reference]
    worst = sorted(real, key=lambda pair: -pair[1])[:count]
    return [(one, Weakness(one.name, loss, remedy_of(one.name), augmentation([one.name]))) for one, loss in worst]


def augmentation(kinds: Sequence[str]) -> str:
    """Return what `train --augment` takes to show these kinds in training, and `augmix` where it can make none.

    >>> augmentation(["fog", "frost"]), augmentation(["rain"])
    ('corruptions:kinds=fog+frost_like,severity=3', 'augmix')
    """
    made = ["frost_like" if one == "frost" else one for one in kinds]
    known = [one for one in made if one in CORRUPTIONS.built_in]
    return f"corruptions:kinds={'+'.join(known)},severity=3" if known else "augmix"


def weak_groups(study: CorruptionStudy) -> dict[str, Weakness | None]:
    """Return for each group what answers its weakness, None where it costs next to nothing or nothing is known."""
    found: dict[str, Weakness | None] = {}
    for group, mean in study.groups.items():
        loss = study.reference - mean
        known = loss > _LEAST and group in _GROUPS
        found[group] = Weakness(group, loss, *_GROUPS[group]) if known else None
    return found


def steadier(shift: str) -> str:
    """Return what keeps answers the same under a small change.

    >>> steadier("resize_method")
    'resizing at work as in training'
    """
    return _STABLE.get(shift, "pictures that are moved, turned and sheared in training, --augment augmix")
