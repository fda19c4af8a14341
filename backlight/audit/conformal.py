"""Sets of classes that hold the right one as often as promised: conformal prediction, and the band of its coverage."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from backlight.audit.arrays import Array, Ids, keyed, parts, read_labels, read_probabilities
from backlight.core.errors import InputError, did_you_mean
from backlight.core.random import Random, Seed

Score = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From probabilities `[N,K]` and uniform numbers `[N,1]` to how strange each class would be, `[N,K]`."""

RAPS_PENALTIES = (0.001, 0.01, 0.1, 0.2, 0.5)
_TUNED_ON, _MOST_TUNED_ON = 0.3, 5000  # share and number of the calibration pictures


def lac(probabilities: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Score by one minus the probability: the smallest sets (Sadinle, Lei and Wasserman 2019, arXiv:1609.00451).

    >>> lac(np.array([[0.5, 0.3, 0.15, 0.05]]), np.zeros((1, 1))).round(4).tolist()
    [[0.5, 0.7, 0.85, 0.95]]
    """
    return np.asarray(1 - probabilities)


def aps(probabilities: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Score by the probability of all classes up to this one, less a random part (Romano 2020, arXiv:2006.02544).

    >>> aps(np.array([[0.5, 0.3, 0.15, 0.05]]), np.array([[0.5]])).round(4).tolist()
    [[0.25, 0.65, 0.875, 0.975]]
    """
    return raps(probabilities, uniform, penalty=0.0, free=0)


def raps(probabilities: np.ndarray, uniform: np.ndarray, *, penalty: float = 0.01, free: int = 5) -> np.ndarray:
    """Score as `aps`, plus `penalty` for each rank beyond `free` (Angelopoulos et al. 2021, arXiv:2009.14193).

    >>> p = np.array([[0.5, 0.3, 0.15, 0.05]])
    >>> raps(p, np.array([[0.5]]), penalty=0.1, free=1).round(4).tolist()
    [[0.25, 0.75, 1.075, 1.275]]
    """
    order, ranks = _ranked(probabilities)
    up_to = np.take_along_axis(np.take_along_axis(probabilities, order, 1).cumsum(1), ranks, 1)
    return np.asarray(up_to - uniform * probabilities + penalty * (ranks + 1 - free).clip(min=0))


def saps(probabilities: np.ndarray, uniform: np.ndarray, *, weight: float = 0.2) -> np.ndarray:
    """Score by the highest probability and the rank alone (Huang et al. 2024, arXiv:2310.06430).

    >>> saps(np.array([[0.5, 0.3, 0.2]]), np.array([[0.5]])).round(4).tolist()
    [[0.25, 0.6, 0.8]]
    """
    _, ranks = _ranked(probabilities)
    top = probabilities.max(1, keepdims=True)
    return np.where(ranks == 0, uniform * top, top + weight * (ranks - 1 + uniform))


SCORES: Mapping[str, Score] = {"lac": lac, "aps": aps, "raps": raps, "saps": saps}
"""Scores by name."""


@dataclass(frozen=True, eq=False, repr=False)
class ConformalSets:
    """Sets of classes, one per picture.

    members     bool `[M,K]`
    thresholds  float64 `[K]`: a class belongs to a set where its score does not exceed its threshold
    n, alpha    calibration pictures, and the promised share of sets without the right class
    score       what was scored by, with its options

    >>> ConformalSets(np.array([[True, True]]), np.ones(2), 100, 0.1, "lac").sizes.tolist()
    [2]
    """

    members: np.ndarray
    thresholds: np.ndarray
    n: int
    alpha: float
    score: str

    @property
    def sizes(self) -> np.ndarray:
        """Return the number of classes in each set, int64 `[M]`."""
        return self.members.sum(1)

    def covers(self, labels: Array) -> np.ndarray:
        """Whether each set holds its label: bool `[M]`."""
        return np.asarray(self.members[np.arange(len(self.members)), read_labels(labels, *self.members.shape)])


def conformal_sets(
    calibration_probabilities: Array,
    calibration_labels: Array,
    probabilities: Array,
    *,
    alpha: float = 0.1,
    score: str | Score = "lac",
    class_conditional: bool = False,
    never_empty: bool = True,
    calibration_ids: Ids = None,
    ids: Ids = None,
    seed: Seed = 0,
) -> ConformalSets:
    """Compute sets that hold the right class with probability 1 - alpha, for pictures like those of the calibration.

    From labeled probabilities `[N,K]` follows a threshold, and from probabilities `[M,K]` the sets (Vovk et al. 2005;
    Angelopoulos and Bates 2021, arXiv:2107.07511). `score` is `lac` (the smallest sets), `aps`, `raps` (sets that are
    larger where it is harder), `saps`, or a function. Without options `raps` is tuned for the smallest sets on 30% of
    the calibration pictures (at most 5,000), which then set no threshold. With `class_conditional` the promise holds
    for each class; classes with fewer than 1 / alpha - 1 calibration pictures share one threshold. With `never_empty`
    the most probable class is always in. Random parts are keyed by ids.

    The threshold is infinite, and every class in every set, where the calibration is too small for alpha.
    Raises InputError for probabilities, labels, an alpha and a score that are none.

    >>> p = np.array([[0.5, 0.3, 0.2]] * 9)
    >>> conformal_sets(p, np.array([0, 0, 0, 0, 0, 0, 0, 0, 1]), p[:1], alpha=0.2).members.tolist()
    [[True, False, False]]
    """
    known, wanted = read_probabilities(calibration_probabilities), read_probabilities(probabilities)
    given = read_labels(calibration_labels, *known.shape)
    if wanted.shape[1] != known.shape[1]:
        raise InputError(f"probabilities of {wanted.shape[1]} classes", expected=f"{known.shape[1]}, as calibrated")
    if not 0 < alpha < 1:
        raise InputError(f"alpha {alpha}", expected="between 0 and 1")
    random = keyed(("conformal", seed, "calibration"), calibration_ids, len(known))
    rows = np.arange(len(known))
    if score == "raps":
        tuning = random.uniform(stream="tuning").numpy() < min(_TUNED_ON, _MOST_TUNED_ON / len(known))
        if tuning.any() and not tuning.all():
            score = tune_raps(known[tuning], given[tuning], alpha=alpha)
            rows = rows[~tuning]
    function, name = _score_of(score)
    own = _own_scores(known, given, function, random)[rows]
    thresholds = _thresholds(own, given[rows], known.shape[1], alpha, class_conditional)
    members = np.empty(wanted.shape, bool)
    fresh = keyed(("conformal", seed, "sets"), ids, len(wanted))
    for part in parts(*wanted.shape):
        members[part] = function(wanted[part].astype(np.float64), _uniform(fresh.take(part))) <= thresholds
    if never_empty:
        members[np.arange(len(wanted)), wanted.argmax(1)] = True
    return ConformalSets(members, thresholds, len(rows), alpha, name)


def tune_raps(probabilities: Array, labels: Array, *, alpha: float = 0.1) -> Score:
    """Choose the options of `raps` that give the smallest sets on labeled probabilities `[N,K]`.

    Free ranks are as many as hold the label in a share of 1 - alpha; the penalty is the best of `RAPS_PENALTIES`.

    >>> tune_raps(np.array([[0.6, 0.4]] * 20), np.array([0] * 20)).keywords["free"]
    1
    """
    found = read_probabilities(probabilities)
    given = read_labels(labels, *found.shape)
    ranks = _ranked(found)[1][np.arange(len(found)), given]
    free = int(np.sort(ranks)[min(len(ranks), quantile_rank(len(ranks), alpha)) - 1]) + 1
    half = np.full((len(found), 1), 0.5)

    def size(penalty: float) -> float:
        scores = raps(found, half, penalty=penalty, free=free)
        own = scores[np.arange(len(found)), given]
        return float((scores <= conformal_quantile(own, alpha)).sum(1).mean())

    return partial(raps, penalty=min(RAPS_PENALTIES, key=size), free=free)


def quantile_rank(count: int, alpha: float) -> int:
    """Return which smallest of `count` scores is the threshold: the ceiling of (count + 1)(1 - alpha).

    >>> quantile_rank(100, 0.1), quantile_rank(500, 0.1), quantile_rank(50, 0.05), quantile_rank(8, 0.1)
    (91, 451, 49, 9)
    """
    return math.ceil((count + 1) * (1 - alpha) - 1e-9)


def conformal_quantile(scores: np.ndarray, alpha: float) -> float:
    """Return the threshold for scores `[n]` of the right classes, infinite where they are too few for alpha.

    >>> conformal_quantile(np.arange(8.0), 0.1), conformal_quantile(np.arange(9.0), 0.1)
    (inf, 8.0)
    """
    rank = quantile_rank(len(scores), alpha)
    return float(np.partition(scores, rank - 1)[rank - 1]) if rank <= len(scores) else math.inf


def coverage_band(
    count: int, alpha: float, *, tested: int | None = None, confidence: float = 0.9
) -> tuple[float, float]:
    """Return the band in which the coverage of one calibration of `count` pictures lies: Beta(k, n + 1 - k).

    With `tested`, the band of the share that is counted on so many pictures (Beta-binomial), which is wider.

    >>> tuple(round(end, 4) for end in coverage_band(500, 0.1))
    (0.8773, 0.9213)
    """
    from scipy.stats import beta, betabinom

    rank = quantile_rank(count, alpha)
    if rank > count:
        return 1.0, 1.0
    ends = [(1 - confidence) / 2, (1 + confidence) / 2]
    if tested is None:
        low, high = beta.ppf(ends, rank, count + 1 - rank)
    else:
        low, high = betabinom.ppf(ends, tested, rank, count + 1 - rank) / tested
    return float(low), float(high)


def _ranked(probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return classes from the most probable on, and each class's rank from 0; equal ones by their number."""
    order = np.argsort(-probabilities, axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(order.shape[1])[None], 1)
    return order, ranks


def _score_of(score: str | Score) -> tuple[Score, str]:
    if not isinstance(score, str):
        function = score.func if isinstance(score, partial) else score
        options = score.keywords if isinstance(score, partial) else {}
        named = ",".join(f"{name}={value}" for name, value in options.items())
        return score, f"{getattr(function, '__name__', 'own')}{':' if named else ''}{named}"
    if score not in SCORES:
        raise InputError(f"score {score!r}", expected=did_you_mean(score, SCORES))
    return SCORES[score], score


def _own_scores(probabilities: np.ndarray, labels: np.ndarray, function: Score, random: Random) -> np.ndarray:
    found = np.empty(len(labels))
    for part in parts(*probabilities.shape):
        scores = function(probabilities[part].astype(np.float64), _uniform(random.take(part)))
        found[part] = scores[np.arange(len(scores)), labels[part]]
    return found


def _uniform(random: Random) -> np.ndarray:
    return random.uniform(1, dtype=torch.float64).numpy()


def _thresholds(
    scores: np.ndarray, labels: np.ndarray, classes: int, alpha: float, class_conditional: bool
) -> np.ndarray:
    if not class_conditional:
        return np.full(classes, conformal_quantile(scores, alpha))
    counts = np.bincount(labels, minlength=classes)
    few = np.array([quantile_rank(int(count), alpha) > count for count in counts])
    shared = conformal_quantile(scores[few[labels]], alpha)
    if math.isinf(shared):  # even together they are too few
        shared = conformal_quantile(scores, alpha)
    return np.array([shared if few[c] else conformal_quantile(scores[labels == c], alpha) for c in range(classes)])
