"""Ways to make probabilities mean what they say: fitted and chosen on one half of the pictures, shown on the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch

from backlight.audit.arrays import Array, Ids, as_array, read_labels
from backlight.audit.calibration_error import CalibrationError, measure_calibration
from backlight.audit.probe import stratified_folds
from backlight.core.errors import DataError, InputError, counted
from backlight.core.random import Seed
from backlight.evaluate.calibration import TEMPERATURES, fit_temperature

_LIKELIHOOD_DROP = 1.920729  # half of the 95% quantile of chi-squared with one degree of freedom


class Calibrator(Protocol):
    """From logits `[N,K]` to calibrated probabilities, float64 `[N,K]`.

    >>> calibrator: Calibrator = Temperature(1.0)
    """

    def __call__(self, logits: np.ndarray) -> np.ndarray: ...


Fit = Callable[[np.ndarray, np.ndarray], Calibrator]
"""Fits a calibrator to logits `[N,K]` and labels `[N]`."""


@dataclass(frozen=True)
class Temperature:
    """Divide logits by one number (Guo et al. 2017).

    >>> Temperature(2.0)(np.array([[2 * np.log(3), 0.0]])).round(2).tolist()
    [[0.75, 0.25]]
    """

    temperature: float

    def __call__(self, logits: np.ndarray) -> np.ndarray:
        """Compute probabilities."""
        return _softmax(logits / self.temperature)


@dataclass(frozen=True, eq=False)
class VectorScaling:
    """Scale and shift the logits of each class (Guo et al. 2017): 2K numbers, too many for few pictures.

    >>> VectorScaling(np.ones(2), np.array([np.log(3), 0]))(np.zeros((1, 2))).round(2).tolist()
    [[0.75, 0.25]]
    """

    scale: np.ndarray
    shift: np.ndarray

    def __call__(self, logits: np.ndarray) -> np.ndarray:
        """Compute probabilities."""
        return _softmax(logits * self.scale + self.shift)


@dataclass(frozen=True, eq=False)
class Isotonic:
    """Replace the confidence of the prediction by a rising function of it, and scale the other probabilities.

    Between the confidences that it was fitted on, `confidences`, it is linear (Zadrozny and Elkan 2002).

    >>> Isotonic(np.array([0.5, 1.0]), np.array([0.5, 0.75]))(np.array([[100.0, 0.0]])).tolist()
    [[0.75, 0.25]]
    """

    confidences: np.ndarray
    values: np.ndarray

    def __call__(self, logits: np.ndarray) -> np.ndarray:
        """Compute probabilities."""
        found = _softmax(logits)
        rows, top = np.arange(len(found)), found.argmax(1)
        confidence = found[rows, top]
        meant = np.interp(confidence, self.confidences, self.values)
        rest = 1 - confidence
        found *= np.divide(1 - meant, rest, out=np.zeros_like(rest), where=rest > 0)[:, None]
        # Where softmax left nothing for the others, each of them gets the same.
        found[rest <= 0] = ((1 - meant[rest <= 0]) / (found.shape[1] - 1))[:, None]
        found[rows, top] = meant
        return found


def fit_temperature_scaling(logits: np.ndarray, labels: np.ndarray) -> Temperature:
    """Fit one temperature by the likelihood of the labels.

    >>> found = fit_temperature_scaling(np.array([[4.0, 0.0]] * 4), np.array([0, 0, 0, 1]))
    >>> round(found.temperature, 2)
    3.64
    """
    return Temperature(fit_temperature(torch.as_tensor(logits), torch.as_tensor(labels)))


def fit_vector_scaling(logits: np.ndarray, labels: np.ndarray) -> VectorScaling:
    """Fit a scale and a shift per class by the likelihood of the labels, from the best temperature on.

    >>> fit_vector_scaling(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]), np.array([0, 1, 1])).scale.shape
    (2,)
    """
    from scipy.optimize import minimize

    exact, classes = logits.astype(np.float64), logits.shape[1]
    rows = np.arange(len(labels))

    def loss(both: np.ndarray) -> tuple[float, np.ndarray]:
        found = _softmax(exact * both[:classes] + both[classes:])
        value = -np.log(found[rows, labels].clip(min=1e-300)).mean()
        found[rows, labels] -= 1
        found /= len(labels)
        return float(value), np.concatenate([(found * exact).sum(0), found.sum(0)])

    warm = 1 / fit_temperature_scaling(logits, labels).temperature
    start = np.concatenate([np.full(classes, warm), np.zeros(classes)])
    result = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 100})
    return VectorScaling(result.x[:classes], result.x[classes:])


def fit_isotonic(logits: np.ndarray, labels: np.ndarray) -> Isotonic:
    """Fit the rising function of confidence that is closest to whether the prediction was right, in squares.

    Its values keep 1 / (n + 2) from 0 and 1, so that no answer becomes impossible.

    >>> found = fit_isotonic(np.array([[2.0, 0.0], [2.0, 0.0]]), np.array([0, 1]))
    >>> found.values.tolist()
    [0.5]
    """
    from scipy.optimize import isotonic_regression

    found = _softmax(logits)
    confidences, groups = np.unique(found.max(1), return_inverse=True)
    counts = np.bincount(groups)
    right = np.bincount(groups, weights=found.argmax(1) == labels) / counts
    edge = 1 / (len(labels) + 2)
    return Isotonic(confidences, isotonic_regression(right, weights=counts).x.clip(edge, 1 - edge))


CALIBRATORS: Mapping[str, Fit] = {
    "temperature": fit_temperature_scaling,
    "vector scaling": fit_vector_scaling,
    "isotonic": fit_isotonic,
}
"""The ways that are compared, by name."""


@dataclass(frozen=True, eq=False, repr=False)
class CalibratorComparison:
    """What each calibrator changes on pictures that it was not fitted on.

    `before` and `after` are measured on the shown half, `fitted` are calibrators of the other half, `chosen` names the
    one with the least loss by two folds within that other half ("none" where nothing helps). `rows` int64 are the
    pictures of the shown half.

    >>> logits = 8 * np.eye(2)[np.arange(40) % 2]
    >>> labels = np.where(np.arange(40) % 5 == 0, 1 - np.arange(40) % 2, np.arange(40) % 2)
    >>> compare_calibrators(logits, labels).chosen != "none"
    True
    """

    before: CalibrationError
    after: Mapping[str, CalibrationError]
    fitted: Mapping[str, Calibrator]
    chosen: str
    rows: np.ndarray = field(repr=False)


def compare_calibrators(
    logits: Array, labels: Array, *, calibrators: Mapping[str, Fit] = CALIBRATORS, ids: Ids = None, seed: Seed = 0
) -> CalibratorComparison:
    """Fit calibrators to logits `[N,K]` and labels `[N]` of one half, keyed by ids, and measure them on the other.

    Raises InputError for logits that are not finite, DataError for fewer than 20 pictures.

    >>> logits = 8 * np.eye(2)[np.arange(40) % 2]
    >>> sorted(compare_calibrators(logits, np.arange(40) % 2).after)
    ['isotonic', 'temperature', 'vector scaling']
    """
    scores = read_logits(logits)
    given = read_labels(labels, *scores.shape)
    if len(scores) < 20:
        raise DataError(f"{len(scores)} pictures", expected="at least 20, to fit on one half and show on the other")
    half = stratified_folds(given, 2, ids=ids, seed=("calibrators", seed))
    fitting, shown = np.flatnonzero(half == 0), np.flatnonzero(half == 1)
    chosen = _least_loss(scores[fitting], given[fitting], calibrators, _taken(ids, fitting))
    fitted = {name: fit(scores[fitting], given[fitting]) for name, fit in calibrators.items()}
    # The prediction is the model's: what a calibrator changes is how sure it is.
    predictions, names = scores[shown].argmax(1), _taken(ids, shown)

    def measured(probabilities: np.ndarray) -> CalibrationError:
        return measure_calibration(probabilities, given[shown], predictions=predictions, ids=names, seed=seed)

    after = {name: measured(one(scores[shown])) for name, one in fitted.items()}
    return CalibratorComparison(measured(_softmax(scores[shown])), after, fitted, chosen, shown)


def temperature_interval(logits: Array, labels: Array) -> tuple[float, float, float]:
    """Find the temperature and the 95% interval in which the likelihood of the labels is hardly less.

    The ends are where twice the log-likelihood has dropped by the 95% quantile of chi-squared (Wilks 1938), or those
    of `evaluate.calibration.TEMPERATURES`. Returns temperature, lower, upper. Raises InputError as `read_logits` does.

    >>> best, low, high = temperature_interval(np.array([[4.0, 0.0]] * 4), np.array([0, 0, 0, 1]))
    >>> low < best < high
    True
    """
    from scipy.optimize import brentq

    scores = read_logits(logits).astype(np.float64)
    given = read_labels(labels, *scores.shape)
    rows, best = np.arange(len(given)), fit_temperature_scaling(scores, given).temperature

    def drop(power: float) -> float:
        return loss(power) - least - _LIKELIHOOD_DROP

    def loss(power: float) -> float:
        scaled = scores / np.exp(power)
        return float((_log_sum(scaled)[:, 0] - scaled[rows, given]).sum())

    least = loss(np.log(best))
    ends = [brentq(drop, np.log(best), np.log(end)) if drop(np.log(end)) > 0 else np.log(end) for end in TEMPERATURES]
    return best, float(np.exp(ends[0])), float(np.exp(ends[1]))


def read_logits(values: Array) -> np.ndarray:
    """Return logits `[N,K]` as floats; raises InputError for what are none.

    >>> read_logits(np.array([[np.nan, 0.0]]))
    Traceback (most recent call last):
    ...
    backlight.core.errors.InputError: logits that are not finite in 1 row; expected finite ones: leave such pictures out
    """
    found = as_array(values)
    if found.ndim != 2 or not np.issubdtype(found.dtype, np.floating) or not found.size:
        raise InputError(f"logits are {found.dtype} {list(found.shape)}", expected="floats [N,K]")
    wrong = int((~np.isfinite(found).all(1)).sum())
    if wrong:
        raise InputError(
            f"logits that are not finite in {counted(wrong, 'row')}",
            expected="finite ones: leave such pictures out",
        )
    return found


def _taken(ids: Ids, rows: np.ndarray) -> Ids:
    return None if ids is None else [ids[row] for row in rows]


def _least_loss(scores: np.ndarray, labels: np.ndarray, calibrators: Mapping[str, Fit], ids: Ids) -> str:
    folds = stratified_folds(labels, 2, ids=ids, seed="within")
    losses = {"none": float(_losses(_softmax(scores), labels).mean())}
    for name, fit in calibrators.items():
        found = np.empty(len(labels))
        for fold in (0, 1):
            held = folds == fold
            found[held] = _losses(fit(scores[~held], labels[~held])(scores[held]), labels[held])
        losses[name] = float(found.mean())
    return min(losses, key=lambda name: losses[name])


def _losses(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return np.asarray(-np.log(probabilities[np.arange(len(labels)), labels].clip(min=1e-38)))


def _log_sum(scores: np.ndarray) -> np.ndarray:
    highest = scores.max(1, keepdims=True)
    return np.asarray(highest + np.log(np.exp(scores - highest).sum(1, keepdims=True)))


def _softmax(scores: np.ndarray) -> np.ndarray:
    exact = scores.astype(np.float64)
    return np.asarray(np.exp(exact - _log_sum(exact)))
