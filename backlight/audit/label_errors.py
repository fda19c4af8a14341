"""Which labels are wrong, and how many: confident learning on probabilities that have not seen the labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backlight.audit.arrays import Array, interval_of, parts, read_labels, read_probabilities
from backlight.core.random import Seed, generator_seed
from backlight.table.statistics import exact_interval

_SLACK = 1e-6  # probabilities this close to a threshold reach it
_NEVER = 2.0  # the threshold of a class without examples: no probability reaches it
_DRAWS = 200
SUREST = 1 / 5
"""The share of rows among which a model is trusted to err little; of more of them, too many hard ones are."""


@dataclass(frozen=True, eq=False, repr=False)
class LabelErrors:
    """Labels that are probably wrong, and an estimate of how many there are.

    rows        int64 `[M]`, rows whose label is probably wrong, the least probable labels first
    quality     float64 `[N]`, the probability of the given label: small where it is doubtful
    suggested   int64 `[N]`, the most probable of the other classes
    thresholds  float64 `[K]`, the mean probability of a class over its own examples
    confident   int64 `[N]`, the class that a row is counted for, -1 for none
    joint       int64 `[P,3]`, given class, true class, estimated number of such rows; rows of zero are left out
    share       the estimated share of wrong labels, with its 95% `interval` over draws of the rows

    >>> found = find_label_errors(np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.3, 0.7]]), np.array([0, 0, 0, 1]))
    >>> found.rows.tolist(), found.suggested[2]
    ([2], np.int64(1))
    """

    rows: np.ndarray
    quality: np.ndarray
    suggested: np.ndarray
    thresholds: np.ndarray
    confident: np.ndarray
    joint: np.ndarray
    share: float
    interval: tuple[float, float]


def find_label_errors(probabilities: Array, labels: Array, *, seed: Seed = 0) -> LabelErrors:
    """Find labels that are probably wrong by confident learning (Northcutt, Jiang and Chuang 2021, arXiv:1911.00068).

    `probabilities` `[N,K]` are of a model that has not seen these labels, such as those of `out_of_fold`; `labels`
    `[N]` are the given ones. A row counts for the most probable of the classes that it reaches the threshold of; from
    these counts follows how many rows of each class belong to each other one, and so many are flagged: those whose
    probability exceeds that of the given label the most. A row whose given label is the most probable one is not.

    Raises InputError for probabilities and labels that are none.

    >>> p = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.2, 0.8], [0.4, 0.6], [0.7, 0.3]])
    >>> found = find_label_errors(p, np.array([0, 0, 0, 1, 1, 1]))
    >>> found.thresholds.round(5).tolist(), found.rows.tolist(), round(found.share, 2)
    ([0.66667, 0.56667], [2, 5], 0.33)
    """
    found = read_probabilities(probabilities)
    count, classes = found.shape
    given = read_labels(labels, count, classes)
    quality = found[np.arange(count), given].astype(np.float64)
    thresholds = _thresholds(quality, given, classes)
    confident, suggested = _confident(found, given, thresholds)
    members = np.split(np.argsort(given, kind="stable"), np.cumsum(np.bincount(given, minlength=classes))[:-1])
    flagged, joint = np.zeros(count, bool), []
    for label, rows in enumerate(members):
        counts = _calibrated(confident[rows], label, classes)
        places = np.flatnonzero(counts)
        joint.append(np.stack([np.full(len(places), label), places, counts[places]], 1))
        flagged[rows] = _pruned(found[rows], label, counts)
    # The second most probable class is never taken for the right one.
    flagged &= found[np.arange(count), suggested] > quality + _SLACK
    rows = np.flatnonzero(flagged)
    share, interval = _share(confident, given, classes, seed)
    order = rows[np.argsort(quality[rows], kind="stable")]
    return LabelErrors(order, quality, suggested, thresholds, confident, np.concatenate(joint), share, interval)


def confident_joint(errors: LabelErrors, labels: Array) -> np.ndarray:
    """Count rows by given class and by the class that they confidently belong to: int64 `[K,K]`.

    >>> p = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.2, 0.8], [0.4, 0.6], [0.7, 0.3]])
    >>> labels = np.array([0, 0, 0, 1, 1, 1])
    >>> confident_joint(find_label_errors(p, labels), labels).tolist()
    [[2, 1], [1, 2]]
    """
    given = read_labels(labels, len(errors.confident))
    counted = errors.confident >= 0
    found = np.zeros((len(errors.thresholds), len(errors.thresholds)), np.int64)
    np.add.at(found, (given[counted], errors.confident[counted]), 1)
    return found


def _thresholds(quality: np.ndarray, given: np.ndarray, classes: int) -> np.ndarray:
    sizes = np.bincount(given, minlength=classes)
    sums = np.bincount(given, weights=quality, minlength=classes)
    means = np.divide(sums, sizes, out=np.full(classes, _NEVER), where=sizes > 0)
    return means.clip(min=2 * _SLACK)


def _confident(probabilities: np.ndarray, given: np.ndarray, thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the class that each row counts for, -1 for none, and the most probable class that is not given."""
    confident, suggested = np.empty(len(given), np.int64), np.empty(len(given), np.int64)
    for part in parts(*probabilities.shape):
        own = probabilities[part]
        reaching = np.where(own >= thresholds - _SLACK, own, -1)
        best = reaching.argmax(1)
        here = np.arange(len(own))
        confident[part] = np.where(reaching[here, best] >= 0, best, -1)
        others = own.copy()
        others[here, given[part]] = -1
        suggested[part] = others.argmax(1)
    return confident, suggested


def _calibrated(confident: np.ndarray, label: int, classes: int) -> np.ndarray:
    """Scale one class's counts to its number of rows, rounded by the largest remainders: int64 `[K]`."""
    counts = np.bincount(confident[confident >= 0], minlength=classes).astype(np.float64)
    counts[label] = max(counts[label], 1)  # at least one row of each class is right
    scaled = counts * (len(confident) / counts.sum())
    whole = scaled.round()
    missing = int(round(len(confident) - whole.sum()))
    order = np.argsort(scaled - whole, kind="stable")
    if missing > 0:
        whole[order[::-1][:missing]] += 1
    elif missing < 0:
        whole[order[:-missing]] -= 1
    return whole.astype(np.int64)


def _pruned(probabilities: np.ndarray, label: int, counts: np.ndarray) -> np.ndarray:
    """Flag, for each true class, as many rows as were counted, those that prefer it to the given one the most."""
    wanted = counts.copy()
    wanted[label] = 0
    if counts[label] == 0:  # one row of the class has to remain
        wanted = (wanted - 1).clip(min=0)
    columns = np.flatnonzero(wanted)
    if len(probabilities) < 2 or not len(columns):
        return np.zeros(len(probabilities), bool)
    margins = probabilities[:, columns] - probabilities[:, [label]]
    order = np.argsort(-margins, axis=0, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(len(order))[:, None], axis=0)
    return np.asarray((ranks < wanted[columns]).any(1))


def _share(confident: np.ndarray, given: np.ndarray, classes: int, seed: Seed) -> tuple[float, tuple[float, float]]:
    """Estimate the share of wrong labels, and its interval over draws of as many rows, at the same thresholds."""
    kind = np.where(confident < 0, 0, np.where(confident == given, 1, 2))
    cells = np.bincount(given * 3 + kind, minlength=classes * 3)

    def share(drawn: np.ndarray) -> np.ndarray:
        uncounted, right, wrong = np.moveaxis(drawn.reshape(-1, classes, 3), 2, 0)
        total = uncounted + right + wrong
        return (total * wrong / (wrong + right.clip(min=1))).sum(1) / len(given)

    generator = np.random.default_rng(generator_seed(("label errors", seed)))
    drawn = generator.multinomial(len(given), cells / cells.sum(), size=_DRAWS)
    return float(share(cells[None])[0]), interval_of(share(drawn))


def estimate_label_noise(
    probabilities: Array, labels: Array, *, surest: float = SUREST
) -> tuple[float, tuple[float, float], np.ndarray]:
    """Estimate the share of wrong labels where the model hardly errs: its exact 95% interval, and the rows looked at.

    The counts of confident learning include what the model itself gets wrong, which for a weak model is most. Among
    the `surest` share of rows, by their highest probability, it errs little, so there the share of labels that it
    contradicts is close to that of wrong ones, as far as mistakes of labels do not seek out hard pictures. Returns
    share, interval, rows int64. Raises InputError as `find_label_errors` does.

    >>> p = np.array([[0.99, 0.01], [0.98, 0.02], [0.6, 0.4], [0.6, 0.4]])
    >>> share, interval, rows = estimate_label_noise(p, np.array([0, 1, 1, 1]), surest=0.5)
    >>> share, rows.tolist()
    (0.5, [0, 1])
    """
    found = read_probabilities(probabilities)
    given = read_labels(labels, *found.shape)
    count = max(1, round(len(found) * surest))
    rows = np.sort(np.argsort(-found.max(1), kind="stable")[:count])
    wrong = int((found[rows].argmax(1) != given[rows]).sum())
    return wrong / count, exact_interval(wrong, count), rows
