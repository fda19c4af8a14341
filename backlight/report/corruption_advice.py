"""In words: which corruptions hurt, by more than chance, and which augmentation answers which weakness."""

from __future__ import annotations

from dataclasses import dataclass

from backlight.corrupt.study import CorruptionStudy, KindResult

_LEAST = 0.02  # a fall of less is no weakness


@dataclass(frozen=True)
class Advice:
    """A weakness: its name, the share of all pictures that it costs on average, the option of `train` that answers
    it, and what else helps.

    >>> Advice("blur", 0.1, "--augment augmix", "sharper pictures").loss
    0.1
    """

    weakness: str
    loss: float
    option: str
    otherwise: str


_ANSWERS = {
    "noise": (
        "noise of sensors and wires",
        "--augment corruptions:kinds=noise,severity=3",
        "take pictures in more light, or average several",
    ),
    "blur": (
        "blur",
        "--augment corruptions:kinds=defocus_blur+motion_blur",
        "check that pictures reach the model at the resolution that it was trained on",
    ),
    "weather": (
        "weather and light",
        "--augment augmix",
        "add changes of brightness and contrast, and pictures of such days",
    ),
    "digital": (
        "contrast, resizing and compression",
        "--augment corruptions:kinds=contrast+jpeg+pixelate",
        "resize and compress at work as in training",
    ),
}


def clearly_worst(study: CorruptionStudy, count: int = 3) -> list[tuple[KindResult, float]]:
    """Return the kinds that cost most accuracy, largest loss first, with the loss as a share of all pictures.

    Only kinds whose interval at the highest severity lies below the clean accuracy.
    """
    losses = [(one, study.clean_accuracy - one.mean) for one in study.kinds.values()]
    real = [pair for pair in losses if pair[0].interval[-1][1] < study.clean_accuracy]
    return sorted(real, key=lambda pair: -pair[1])[:count]


def advice(study: CorruptionStudy) -> list[Advice]:
    """Return what to do about each group that costs accuracy, largest loss first."""
    losses = {group: study.clean_accuracy - mean for group, mean in study.groups.items()}
    worst_first = sorted(losses.items(), key=lambda item: -item[1])
    return [
        Advice(_ANSWERS[group][0], loss, *_ANSWERS[group][1:])
        for group, loss in worst_first
        if loss > _LEAST and group in _ANSWERS
    ]
