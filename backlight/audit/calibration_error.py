"""Whether probabilities mean what they say, beside what a perfectly calibrated model would show of as many pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backlight.audit.arrays import Array, Ids, bootstrap, keyed, parts, read_labels, read_probabilities
from backlight.core.errors import InputError
from backlight.core.random import Random, Seed, generator_seed

BINS = 15
_DRAWS = 200


@dataclass(frozen=True)
class Measured:
    """A number and its 95% interval.

    >>> Measured(0.5, 0.4, 0.6).interval
    (0.4, 0.6)
    """

    value: float
    low: float
    high: float

    @property
    def interval(self) -> tuple[float, float]:
        """Return the two ends."""
        return self.low, self.high


@dataclass(frozen=True)
class Chance:
    """The calibration error of a perfectly calibrated model of these confidences: its mean, and its 97.5% quantile.

    >>> Chance(0.02, 0.03).high
    0.03
    """

    mean: float
    high: float


@dataclass(frozen=True)
class CalibrationError:
    """How far probabilities are from what happens, over `n` pictures.

    nll             mean negative log-likelihood of the labels, in nats
    brier           mean over pictures of the squared errors, summed over classes, 0 to 2
    ece, ece_mass   expected calibration error of the prediction, in bins of equal width and of equally many pictures
    classwise       the mean over classes of each one's calibration error (Kull et al. 2019)
    overconfidence  mean confidence minus accuracy: above 0 the model promises too much
    chance, chance_mass   `ece` and `ece_mass` of a perfectly calibrated model that gave these confidences

    Intervals are over 200 draws of the pictures. An error within its chance is as small as `n` pictures can show.

    >>> p = np.array([[0.75, 0.25]] * 4)
    >>> found = measure_calibration(p, np.array([0, 0, 0, 1]))
    >>> found.ece.value, found.brier.value, found.overconfidence.value
    (0.0, 0.375, 0.0)
    """

    n: int
    nll: Measured
    brier: Measured
    ece: Measured
    ece_mass: Measured
    classwise: float
    overconfidence: Measured
    chance: Chance
    chance_mass: Chance


def measure_calibration(
    probabilities: Array,
    labels: Array,
    *,
    predictions: Array | None = None,
    bins: int = BINS,
    ids: Ids = None,
    seed: Seed = 0,
) -> CalibrationError:
    """Measure calibration of probabilities `[N,K]` against labels `[N]` (Naeini 2015, Guo 2017, Nixon 2019).

    `predictions` `[N]` are the classes whose probability is the confidence; left out, the most probable ones. A
    confidence on an edge of equal width falls into the bin above it; equal confidences share a bin of equal mass.

    Raises InputError for probabilities and labels that are none, and for fewer than one bin.

    >>> measure_calibration(np.array([[1.0, 0.0]]), np.array([1])).ece.value
    1.0
    """
    found = read_probabilities(probabilities)
    given = read_labels(labels, *found.shape)
    if bins < 1:
        raise InputError(f"{bins} bins", expected="at least 1")
    chosen = found.argmax(1) if predictions is None else read_labels(predictions, *found.shape)
    rows = np.arange(len(found))
    own, confidence = (found[rows, classes].astype(np.float64) for classes in (given, chosen))
    right = (chosen == given).astype(np.float64)
    width, mass = width_bins(confidence, bins), mass_bins(confidence, bins)
    squares = np.concatenate([(found[part].astype(np.float64) ** 2).sum(1) for part in parts(*found.shape)])
    # What a float32 softmax rounds to 0 counts as the least number that it holds.
    losses = -np.log(own.clip(min=float(np.finfo(np.float32).tiny)))
    means = np.stack([losses, squares - 2 * own + 1, confidence - right], 1)
    counted = np.stack([_one_hot(places, bins) for places in (width, mass)])

    def statistics(weights: np.ndarray) -> np.ndarray:
        errors = [_error(weights, one, confidence - right) for one in counted]
        return np.concatenate([weights @ means / len(found), np.stack(errors, 1)], 1)

    values = statistics(np.ones((1, len(found))))[0]
    generator = np.random.default_rng(generator_seed(("calibration", seed)))
    drawn = bootstrap(statistics, len(found), generator, _DRAWS)
    nll, brier, over, ece, ece_mass = (_around(values[i], drawn[:, i], signed=i == 2) for i in range(5))
    chances = _chances(confidence, counted, keyed(("calibration", seed), ids, len(found)))
    classwise = _classwise(found, given, bins)
    return CalibrationError(len(found), nll, brier, ece, ece_mass, classwise, over, *chances)


def width_bins(confidence: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Return the bin of equal width of each confidence, int64 `[N]`.

    >>> width_bins(np.array([0.0, 0.5, 1.0]), 2).tolist()
    [0, 1, 1]
    """
    return np.minimum((confidence * bins).astype(np.int64), bins - 1)


def mass_bins(confidence: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Return the bin of equally many pictures of each confidence, int64 `[N]`; equal confidences share one.

    >>> mass_bins(np.array([0.9, 0.8, 0.8, 0.7]), 2).tolist()
    [1, 0, 0, 0]
    """
    return np.searchsorted(np.sort(confidence), confidence) * bins // max(1, len(confidence))


def _one_hot(places: np.ndarray, bins: int) -> np.ndarray:
    found = np.zeros((len(places), bins))
    found[np.arange(len(places)), places] = 1
    return found


def _error(weights: np.ndarray, places: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    """Compute the expected calibration error `[R]` under weights `[R,N]`: the bins' gaps, each by its share."""
    return np.abs(weights @ (places * gaps[:, None])).sum(1) / weights.sum(1)


def _around(value: float, drawn: np.ndarray, signed: bool = False) -> Measured:
    """Return the reflected interval of draws about their mean: what noise adds to the errors of draws cancels."""
    low, high = value + drawn.mean() - np.quantile(drawn, [0.975, 0.025])
    return Measured(float(value), float(low if signed else max(0.0, low)), float(high))


def _chances(confidence: np.ndarray, counted: np.ndarray, random: Random) -> list[Chance]:
    """Draw labels that agree with the predictions as often as the confidences say, and measure."""
    sums = np.zeros((len(counted), counted.shape[2], _DRAWS))
    for part in parts(len(confidence), _DRAWS):
        right = random.take(part).uniform(_DRAWS).numpy() < confidence[part, None]
        sums += counted[:, part].transpose(0, 2, 1) @ (confidence[part, None] - right)
    errors = np.abs(sums).sum(1) / len(confidence)
    return [Chance(float(one.mean()), float(np.quantile(one, 0.975))) for one in errors]


def _classwise(probabilities: np.ndarray, labels: np.ndarray, bins: int) -> float:
    count, classes = probabilities.shape
    gaps = np.zeros(classes * bins)
    for part in parts(count, classes):
        own = probabilities[part].astype(np.float64)
        cells = width_bins(own, bins) + np.arange(classes) * bins
        own[np.arange(len(own)), labels[part]] -= 1
        gaps += np.bincount(cells.ravel(), weights=own.ravel(), minlength=len(gaps))
    return float(np.abs(gaps).sum() / count / classes)
