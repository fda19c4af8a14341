"""What predictions tell of each class, and whether the frame of a picture or its middle decides them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backlight.table.statistics import mcnemar, paired_interval, unpaired_interval

_TELLS = 0.1  # how much more often a class is named in its own pictures than in others
_CHANCE = 0.01
_LEAST = 10  # pictures of a class from which it is judged by itself


@dataclass(frozen=True)
class Told:
    """How much predictions tell of one class: how often it is named in its `own` pictures and in `others`.

    >>> told_by([0, 0, 1, 1] * 20, [0, 0, 1, 1] * 20, 2)[0].difference
    1.0
    """

    place: int
    own: float
    others: float
    interval: tuple[float, float]
    p_value: float

    @property
    def difference(self) -> float:
        """Return by how much it is named more often in its own pictures."""
        return self.own - self.others

    @property
    def is_told(self) -> bool:
        """Whether that is more than a little and more than chance."""
        return self.p_value < _CHANCE and self.interval[0] > _TELLS


def told_by(labels: np.ndarray | list[int], predictions: np.ndarray | list[int], classes: int) -> list[Told]:
    """Measure how much predictions tell of each class, the most first; classes without pictures are left out.

    A prediction that does not depend on the picture tells nothing of any class, however often it is right. Fisher's
    exact test, one-sided, corrected for the number of classes (Bonferroni).

    >>> [round(one.difference, 2) for one in told_by([0, 1] * 10, [1] * 20, 2)]
    [0.0, 0.0]
    """
    truth, said = np.asarray(labels), np.asarray(predictions)
    found = [
        _told(place, said[truth == place] == place, said[truth != place] == place, classes) for place in range(classes)
    ]
    return sorted((one for one in found if one is not None), key=lambda one: -one.difference)


def named_by(labels: np.ndarray, predictions: np.ndarray, classes: int) -> list[Told]:
    """List the classes that predictions tell, most told first, each among the pictures of those not listed before.

    Where one class is told, its pictures never get the answer that all others get when nothing is seen: beside them
    that answer looks told too, and is not among the rest.

    >>> labels = np.arange(300) % 3
    >>> [one.place for one in named_by(labels, np.where(labels == 0, 0, 1), 3)]
    [0]
    """
    found: list[Told] = []
    left = np.ones(len(labels), bool)
    while True:
        told = [one for one in told_by(labels[left], predictions[left], classes) if one.is_told]
        if not told:
            return found
        found.append(told[0])
        left &= labels != told[0].place


def _told(place: int, own: np.ndarray, others: np.ndarray, classes: int) -> Told | None:
    """Compare how often a class is named in its own pictures and in others, bool each; None without either."""
    from scipy.stats import hypergeom

    if not len(own) or not len(others):
        return None
    right, wrong, count, rest = int(own.sum()), int(others.sum()), len(own), len(others)
    p_value = min(1.0, classes * float(hypergeom.sf(right - 1, count + rest, count, right + wrong)))
    return Told(place, right / count, wrong / rest, unpaired_interval((wrong, rest), (right, count)), p_value)


@dataclass(frozen=True)
class Contest:
    """Answers on `n` pictures of which the frame shows one class (`place`, None for all) and the middle another.

    `frame` is the share of answers that name the class of the frame, `middle` that of the middle; `interval` is of
    their difference, and `told` what the same class is named in frames of others.

    >>> Contest(None, 50, 0.2, 0.6, (-0.6, -0.2), 1.0).is_won
    False
    """

    place: int | None
    n: int
    frame: float
    middle: float
    interval: tuple[float, float]
    p_value: float
    told: Told | None = None

    @property
    def difference(self) -> float:
        """Return by how much more often answers follow the frame."""
        return self.frame - self.middle

    @property
    def is_won(self) -> bool:
        """Whether the frame outvotes the middle: by more than chance, and not by a class that is always answered."""
        return self.p_value < _CHANCE and self.interval[0] > 0 and (self.told is None or self.told.is_told)


def contests(frames: np.ndarray, middles: np.ndarray, said: np.ndarray, classes: int) -> tuple[Contest, list[Contest]]:
    """Measure whether answers follow the frame or the middle: over all pictures, and by class of the frame, most first.

    Pictures whose frame and middle are of one class say nothing and are left out, classes of a few pictures too.
    McNemar's exact test, corrected for the number of classes (Bonferroni).

    >>> frames, middles = np.array([0, 1] * 20), np.array([1, 0] * 20)
    >>> overall, by_class = contests(frames, middles, frames, 2)
    >>> overall.difference, by_class[0].is_won
    (1.0, True)
    """
    apart = frames != middles
    frames, middles, said = frames[apart], middles[apart], said[apart]
    overall = _contest(None, said == frames, said == middles, 1)
    found = []
    for place in range(classes):
        own, others = frames == place, (frames != place) & (middles != place)
        if own.sum() >= _LEAST:
            told = _told(place, said[own] == place, said[others] == place, classes)
            found.append(_contest(place, said[own] == place, said[own] == middles[own], classes, told))
    return overall, sorted(found, key=lambda one: -one.difference)


def _contest(
    place: int | None, frame: np.ndarray, middle: np.ndarray, classes: int, told: Told | None = None
) -> Contest:
    n, followed, kept = len(frame), int(frame.sum()), int(middle.sum())
    # The test is of two sides: where the frame wins at all, the one side that is asked for is half of it.
    p_value = min(1.0, classes * mcnemar(kept, followed)) if followed > kept else 1.0
    shares = followed / max(n, 1), kept / max(n, 1)
    return Contest(place, n, *shares, paired_interval(followed, kept, n), p_value, told)
