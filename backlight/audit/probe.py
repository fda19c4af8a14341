"""A linear probe: L2 logistic regression on stored features, and what it says of pictures it was not fitted on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from backlight.audit.arrays import Array, Ids, keyed, parts, read_labels, read_matrix, rows_of
from backlight.core.errors import InputError
from backlight.core.random import Seed

PENALTIES = (3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003)
"""The strengths of the L2 penalty that are tried, strongest first."""

MOST_ROWS = 50_000
"""A probe is fitted on at most so many pictures, chosen by key: more of them hardly change a linear model."""

_MOST_LOGITS = 2**25  # held at once while it is fitted: 128 MiB, three times
_MOST_WEIGHTS = 2**21  # fitted at once: L-BFGS remembers twenty times as many in double precision
_TOLERANCE = 1e-5  # a step that lowers the loss by a smaller part of it is the last, and so is a gradient below it
_COARSE = 1e-3  # the same part while the penalty is chosen: losses of two penalties differ by far more


@dataclass(frozen=True, eq=False, repr=False)
class Probe:
    """A fitted linear classifier of features `[N,D]`: weight `[D,K]` and bias `[K]` for standardized features.

    >>> probe = fit_probe(np.array([[-1.0], [-2.0], [1.0], [2.0]]), np.array([0, 0, 1, 1]), penalty=0.1)
    >>> probe.probabilities(np.array([[5.0]])).argmax(1).tolist()
    [1]
    """

    mean: Tensor
    scale: Tensor
    weight: Tensor
    bias: Tensor
    penalty: float

    def probabilities(self, features: Array) -> np.ndarray:
        """Return probabilities float32 `[N,K]` of features `[N,D]`, read a part at a time."""
        features = read_matrix(features)
        found = np.empty((len(features), len(self.bias)), np.float32)
        for part in parts(len(features), features.shape[1]):
            standard = (rows_of(features, part) - self.mean) / self.scale
            found[part] = (standard @ self.weight + self.bias).softmax(1).numpy()
        return found


@dataclass(frozen=True, eq=False, repr=False)
class OutOfFold:
    """What probes say of pictures that they were not fitted on.

    probabilities  float32 `[N,K]`
    folds          int64 `[N]`, the fold of each picture; the probe that judges it has seen the other folds
    seen           bool `[N]`, whether that probe has seen a picture of the own label: of the others nothing follows
    penalty        the strength of the L2 penalty

    >>> out_of_fold(np.eye(4), np.array([0, 0, 1, 1]), folds=2, penalty=1.0).seen.tolist()
    [True, True, True, True]
    """

    probabilities: np.ndarray
    folds: np.ndarray
    seen: np.ndarray
    penalty: float


def stratified_folds(labels: Array, folds: int = 5, *, ids: Ids = None, seed: Seed = 0) -> np.ndarray:
    """Deal pictures to folds, class by class, in an order keyed by their ids: int64 `[N]` of 0 .. folds - 1.

    Fold sizes differ by at most one, in each class and overall. Raises InputError for fewer than two folds.

    >>> np.bincount(stratified_folds(np.array([0, 0, 0, 1, 1, 1]), 3)).tolist()
    [2, 2, 2]
    """
    if folds < 2:
        raise InputError(f"{folds} folds", expected="at least 2")
    labels = read_labels(labels, len(labels))
    keys = keyed((seed, "folds"), ids, len(labels)).uniform(dtype=torch.float64).numpy()
    # One deck, sorted by class: a class starts where the one before it ended, so small ones do not share fold 0.
    deck = np.lexsort((keys, labels))
    found = np.empty(len(labels), np.int64)
    found[deck] = np.arange(len(labels)) % folds
    return found


def fit_probe(
    features: Array,
    labels: Array,
    *,
    classes: int | None = None,
    penalty: float | None = None,
    ids: Ids = None,
    seed: Seed = 0,
    iterations: int = 100,
) -> Probe:
    """Fit L2 logistic regression by L-BFGS on standardized features `[N,D]` and labels `[N]`.

    The loss is the mean cross-entropy plus `penalty` / 2 times the squared weights. A penalty left out is the one of
    `PENALTIES` with the least loss on a held-out fifth. Source: linear probes, Alain and Bengio 2016, arXiv:1610.01644.

    Raises InputError for features that are not finite and labels outside of the classes.

    >>> fit_probe(np.array([[0.0], [1.0]]), np.array([0, 1]), penalty=1.0).penalty
    1.0
    """
    space = _Space.of(features, labels, classes, ids, seed)
    everything = torch.ones(len(space.labels), 1)
    chosen = space.choose_penalty(ids, seed, iterations) if penalty is None else penalty
    weight, bias = space.fit(everything, chosen, iterations)
    return Probe(space.mean, space.scale, weight[0], bias[0], chosen)


def out_of_fold(
    features: Array,
    labels: Array,
    *,
    classes: int | None = None,
    folds: int = 5,
    penalty: float | None = None,
    ids: Ids = None,
    seed: Seed = 0,
    iterations: int = 100,
) -> OutOfFold:
    """Compute each picture's probabilities by a probe that was fitted without it and its fold.

    Classes with fewer than two pictures are never seen by the probe that judges them (see `OutOfFold.seen`). The
    penalty is chosen as in `fit_probe`, on the first fold. Raises InputError as `fit_probe` and `stratified_folds` do.

    >>> points = np.array([[-1.0], [-2.0], [1.0], [2.0]])
    >>> out_of_fold(points, np.array([0, 0, 1, 1]), folds=2).probabilities.argmax(1).tolist()
    [0, 0, 1, 1]
    """
    space = _Space.of(features, labels, classes, ids, seed)
    labels = read_labels(labels, len(features), classes)
    dealt = stratified_folds(labels, folds, ids=ids, seed=seed)
    held = torch.from_numpy(dealt[space.rows])
    chosen = space.choose_penalty(ids, seed, iterations, held) if penalty is None else penalty
    weight, bias = space.fit(torch.stack([held != fold for fold in range(folds)], 1).float(), chosen, iterations)
    found = np.empty((len(labels), space.classes), np.float32)
    for fold in range(folds):
        members = np.flatnonzero(dealt == fold)
        probe = Probe(space.mean, space.scale, weight[fold], bias[fold], chosen)
        for part in parts(len(members), space.standard.shape[1]):
            found[members[part]] = probe.probabilities(rows_of(read_matrix(features), members[part]))
    in_fold = np.zeros((folds, space.classes), np.int64)
    np.add.at(in_fold, (held.numpy(), space.labels.numpy()), 1)
    seen = in_fold.sum(0)[labels] > in_fold[dealt, labels]
    return OutOfFold(found, dealt, seen, chosen)


@dataclass(frozen=True, eq=False, repr=False)
class _Space:
    """Features that a probe is fitted on, standardized, float32 `[n,D]`: at most `MOST_ROWS` of all rows."""

    rows: np.ndarray
    standard: Tensor
    labels: Tensor
    classes: int
    mean: Tensor
    scale: Tensor

    @staticmethod
    def of(features: Array, labels: Array, classes: int | None, ids: Ids, seed: Seed) -> _Space:
        features = read_matrix(features)
        numbers = read_labels(labels, len(features), classes)
        if len(np.unique(numbers)) < 2:
            raise InputError("labels of fewer than two classes", expected="at least two to tell apart")
        rows = np.arange(len(features))
        if len(rows) > MOST_ROWS:
            keys = keyed((seed, "probe"), ids, len(rows)).uniform(dtype=torch.float64).numpy()
            rows = np.sort(np.argpartition(keys, MOST_ROWS)[:MOST_ROWS])
        standard = torch.empty(len(rows), features.shape[1])
        for part in parts(len(rows), features.shape[1]):
            standard[part] = rows_of(features, rows[part])
        mean = standard.mean(0, dtype=torch.float64).float()
        if not bool(torch.isfinite(mean).all()):
            raise InputError("features that are not finite", expected="finite numbers")
        standard -= mean
        spread = standard.square().mean(0).sqrt()
        # A feature that never changes says nothing; dividing by its rounding error would make it loud.
        scale = torch.where(spread > 1e-6 * spread.max().clamp(min=1e-30), spread, torch.inf)
        standard /= scale
        count = classes or int(numbers.max()) + 1
        return _Space(rows, standard, torch.from_numpy(numbers[rows]), count, mean, scale)

    def choose_penalty(self, ids: Ids, seed: Seed, iterations: int, folds: Tensor | None = None) -> float:
        """Find the penalty with the least loss on the first fold, from strong to weak while it falls."""
        if folds is None:
            own = None if ids is None else [ids[row] for row in self.rows]
            folds = torch.from_numpy(stratified_folds(self.labels, ids=own or self.rows.tolist(), seed=seed))
        held, best, start = folds == 0, (torch.inf, PENALTIES[0]), None
        shown, members = self.standard[held], (~held)[:, None].float()
        for penalty in PENALTIES:
            start = self._fit(members, penalty, iterations, start, _COARSE)
            loss = float(torch.nn.functional.cross_entropy(shown @ start[0][0] + start[1][0], self.labels[held]))
            if loss >= best[0]:
                break
            best = (loss, penalty)
        return best[1]

    def fit(self, members: Tensor, penalty: float, iterations: int) -> tuple[Tensor, Tensor]:
        """Fit one probe per column of `members` `[n,F]`: weights `[F,D,K]` and biases `[F,K]`.

        Probes of folds are alike, so they are fitted as one problem: the features are read once for all of them.
        """
        width = self.standard.shape[1]
        at_once = max(1, min(_MOST_LOGITS // len(self.labels), _MOST_WEIGHTS // width) // self.classes)
        fitted = [self._fit(some, penalty, iterations) for some in members.split(at_once, 1)]
        return torch.cat([weight for weight, _ in fitted]), torch.cat([bias for _, bias in fitted])

    def _fit(
        self,
        members: Tensor,
        penalty: float,
        iterations: int,
        start: tuple[Tensor, Tensor] | None = None,
        tolerance: float = _TOLERANCE,
    ) -> tuple[Tensor, Tensor]:
        from scipy.optimize import minimize

        # A row for each class of each fold: products of few columns with many features are twice as fast this way.
        shape = (members.shape[1], self.classes, self.standard.shape[1] + 1)
        share = (members / members.sum(0).clamp(min=1)).T[:, None]
        place = self.labels.expand(shape[0], 1, -1)

        def loss_and_gradient(flat: np.ndarray) -> tuple[float, np.ndarray]:
            both = torch.from_numpy(flat).float().view(-1, shape[2])
            weight, bias = both[:, :-1], both[:, -1:]
            scores = (weight @ self.standard.T).add_(bias).view(*shape[:2], -1)
            log_sum = scores.logsumexp(1, keepdim=True)
            loss = ((log_sum - scores.gather(1, place)) * share).sum() + penalty / 2 * weight.square().sum()
            residual = scores.sub_(log_sum).exp_().mul_(share).scatter_add_(1, place, -share).flatten(0, 1)
            slope = (residual @ self.standard).add_(weight, alpha=penalty)
            return float(loss), torch.cat([slope, residual.sum(1, keepdim=True)], 1).double().flatten().numpy()

        first = np.zeros(shape)
        if start is not None:
            first[:, :, :-1], first[:, :, -1] = start[0].transpose(1, 2).numpy(), start[1].numpy()
        options = {"maxiter": iterations, "ftol": tolerance, "gtol": _TOLERANCE}
        found = minimize(loss_and_gradient, first.ravel(), jac=True, method="L-BFGS-B", options=options)
        both = torch.from_numpy(found.x).float().view(shape)
        return both[:, :, :-1].transpose(1, 2), both[:, :, -1].clone()
