"""Scores of unknown inputs: each is fitted on pictures of the known kind, and says how much others are like them.

Larger always means: more like what the model knows. Other libraries score outliers, with the opposite sign.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from backlight.audit.activations import Activations, Head
from backlight.audit.arrays import add_products
from backlight.audit.gaussians import Gaussians
from backlight.audit.neighbors import find_neighbors
from backlight.core.errors import InputError

Score = Callable[[Activations], Tensor]
"""From the activations of N pictures, features float32, to scores `[N]`: larger is more in-distribution."""


@dataclass(frozen=True, eq=False, repr=False)
class Known:
    """What detectors are fitted on: pictures of the kind that the model knows, and its last layer where it is linear.

    >>> known = Known(Activations.of(torch.eye(3), features=torch.rand(3, 4)))
    >>> sorted(known.has)
    ['features', 'logits']
    """

    seen: Activations
    head: Head | None = None
    _gaussians: dict[bool, Gaussians] = field(default_factory=dict, init=False)
    _last: dict[bool, tuple[Activations, tuple[Tensor, Tensor]]] = field(default_factory=dict, init=False)

    @property
    def has(self) -> frozenset[str]:
        """Name what detectors may need and is here: logits, features, head."""
        features = {"features"} if self.seen.features is not None else set()
        return frozenset({"logits"} | features | ({"head"} if self.head is not None and features else set()))

    @property
    def linear(self) -> Head:
        """Return the last layer; raises InputError where it is not linear."""
        if self.head is None:
            raise InputError("no linear last layer", expected="weight [K,D] and bias [K]")
        return self.head

    @cached_property
    def mean(self) -> Tensor:
        """Return the mean features, float32 `[D]`."""
        return torch.stack([part.rows_of_features(slice(None)).double().sum(0) for part in self.seen.chunks()]).sum(
            0
        ).float() / len(self.seen)

    def prepare(self, *, unit: bool) -> None:
        """Fit the Gaussians; raises InputError where there can be none."""
        if unit not in self._gaussians:
            self._gaussians[unit] = Gaussians.fit(self.seen, unit=unit)

    def distances(self, some: Activations, *, unit: bool) -> tuple[Tensor, Tensor]:
        """Return Mahalanobis distances to the nearest class and to everything; asked twice, computed once."""
        self.prepare(unit=unit)
        last = self._last.get(unit)
        if last is None or last[0] is not some:
            features = some.unit_features if unit else some.rows_of_features(slice(None))
            last = self._last[unit] = (some, self._gaussians[unit].distances(features))
        return last[1]


def max_probability(known: Known) -> Score:
    """Fit MSP: the largest probability."""
    return lambda some: some.logits.softmax(1).max(1).values


def max_logit(known: Known) -> Score:
    """Fit the largest logit."""
    return lambda some: some.logits.max(1).values


def energy(known: Known) -> Score:
    """Fit the energy, with its sign turned: log of the sum of exp(logits)."""
    return lambda some: some.logits.logsumexp(1)


def generalized_entropy(known: Known, *, gamma: float = 0.1, most: int = 100) -> Score:
    """Fit GEN: minus the sum of p^gamma (1 - p)^gamma over the `most` largest probabilities."""

    def score(some: Activations) -> Tensor:
        p = some.logits.softmax(1)
        if p.shape[1] > most:
            p = p.topk(most, dim=1).values
        return -(p * (1 - p)).pow(gamma).sum(1)

    return score


def nearest_neighbor(known: Known, *, k: int | None = None) -> Score:
    """Fit kNN: minus the distance to the k-th nearest of the known pictures, features at length 1.

    `k` is by default 1% of a class, 1 to 50.
    """
    assert known.seen.features is not None, "a detector that needs features is fitted where there are some"
    fitted = known.seen.features
    classes = len(known.seen.classes.unique())
    count = min(k or max(1, min(50, round(len(fitted) / classes / 100))), len(fitted))

    def score(some: Activations) -> Tensor:
        found = find_neighbors(some.rows_of_features(slice(None)), fitted, count, metric="cosine")
        return -torch.from_numpy(found.distances[:, -1]).mul(2).sqrt()

    return score


def mahalanobis(known: Known, *, unit: bool = False) -> Score:
    """Fit MDS: minus the squared distance to the nearest class mean, in units of the shared covariance."""
    known.prepare(unit=unit)
    return lambda some: -known.distances(some, unit=unit)[0]


def relative_mahalanobis(known: Known, *, unit: bool = False) -> Score:
    """Fit RMDS: as MDS, plus the squared distance to the mean of all, in units of the covariance of all."""
    known.prepare(unit=unit)

    def score(some: Activations) -> Tensor:
        nearest, overall = known.distances(some, unit=unit)
        return overall - nearest

    return score


def virtual_logit(known: Known, *, dimensions: int | None = None) -> Score:
    """Fit ViM: the energy minus the scaled length of what lies outside of the principal space of the features."""
    head = known.linear
    width = head.weight.shape[1]
    kept = dimensions or (1000 if width >= 2048 else 512 if width >= 768 else width // 2)
    squares = torch.zeros(width, width)
    for part in known.seen.chunks():
        offset = part.rows_of_features(slice(None)) - head.origin
        add_products(squares, offset)  # its eigenvectors are found from the lower half
    rest = torch.linalg.eigh(squares / len(known.seen)).eigenvectors[:, : width - kept]  # smallest values first

    def lengths(some: Activations) -> Tensor:
        return ((some.rows_of_features(slice(None)) - head.origin) @ rest).norm(dim=1)

    highest = sum(float(part.logits.max(1).values.double().sum()) for part in known.seen.chunks())
    total = sum(float(lengths(part).double().sum()) for part in known.seen.chunks())
    alpha = highest / max(total, 1e-12)
    return lambda some: some.logits.logsumexp(1) - alpha * lengths(some)


def clipped(known: Known, *, percentile: float = 90.0) -> Score:
    """Fit ReAct: the energy after features are clipped at a percentile of those of the known pictures."""
    head = known.linear
    step = max(1, len(known.seen) * head.weight.shape[1] // _MOST_VALUES)  # evenly spaced pictures: memory is bounded
    threshold = float(np.percentile(known.seen.rows_of_features(slice(None, None, step)).numpy(), percentile))
    return lambda some: head.logits(some.rows_of_features(slice(None)).clamp(max=threshold)).logsumexp(1)


def scaled(known: Known, *, share: float = 0.85) -> Score:
    """Fit SCALE: the energy after features are multiplied by exp(their sum over the sum of the largest 15%)."""
    bias = known.linear.bias

    def score(some: Activations) -> Tensor:
        factor = scale_factor(some.rows_of_features(slice(None)), share)
        return (factor[:, None] * (some.logits - bias) + bias).logsumexp(1)  # the last layer is linear

    return score


def scale_factor(features: Tensor, share: float = 0.85) -> Tensor:
    """Return exp(r) `[N]` of features `[N,D]`, r their sum over the sum of the largest 1 - `share` of them.

    >>> round(float(scale_factor(torch.tensor([[0, 0.5, 1, 2, 4, 0.1, 0.2, 0.3, 0, 0]]))), 4)
    3.8574
    """
    width = features.shape[1]
    largest = features.topk(max(1, width - round(width * share)), dim=1).values.sum(1)
    return (features.sum(1) / largest).exp()


def decision_boundary(known: Known) -> Score:
    """Fit fDBD: the mean distance to the other classes' boundaries over the distance to the mean features."""
    gaps, mean = known.linear.gaps, known.mean

    def score(some: Activations) -> Tensor:
        best, chosen = some.logits.max(1)
        distance = (best[:, None] - some.logits) / gaps[chosen].masked_fill(gaps[chosen] == 0, torch.inf)
        center = (some.rows_of_features(slice(None)) - mean).norm(dim=1).clamp(min=1e-8)
        return distance.sum(1) / ((some.logits.shape[1] - 1) * center)

    return score


_MOST_VALUES = 20_000_000
