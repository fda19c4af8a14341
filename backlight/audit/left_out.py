"""Unknown pictures that are near: classes that a linear probe on the stored features has never seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from backlight.audit.activations import Activations, Head
from backlight.audit.detectors import DetectorCard
from backlight.audit.probe import fit_probe
from backlight.audit.scores import Known, Score
from backlight.core.errors import InputError
from backlight.core.random import Random, Seed

GROUPS, MOST_CLASSES, MOST_PICTURES, DIMENSIONS = 10, 50, 1000, 64
LEAST_PICTURES = 10  # of a class
_PENALTY, _ITERATIONS = 0.01, 40


@dataclass(frozen=True, eq=False, repr=False)
class LeftOut:
    """Scores of known and of left-out pictures by detector, as ranks among the known ones: comparable over groups.

    >>> LeftOut({"gen": [np.array([0.5])]}, {"gen": [np.array([0.0])]}).unknown_of("gen").tolist()
    [0.0]
    """

    known: Mapping[str, list[np.ndarray]] = field(default_factory=dict)
    unknown: Mapping[str, list[np.ndarray]] = field(default_factory=dict)

    def known_of(self, name: str) -> np.ndarray:
        """Return the ranks of the known pictures of all groups, 0 to 1."""
        return np.concatenate(self.known[name])

    def unknown_of(self, name: str) -> np.ndarray:
        """Return the ranks of the left-out pictures of all groups among the known ones, 0 to 1."""
        return np.concatenate(self.unknown[name])


def leave_classes_out(seen: Activations, cards: Sequence[DetectorCard], *, seed: Seed = 0) -> LeftOut:
    """Leave out each tenth of the classes in turn, and score its pictures against held-out ones of the others.

    A linear probe takes the place of the last layer. Works on at most 50 classes, 1,000 pictures and 64 principal
    directions of the features, so it costs about a second; those are keyed by `seed`.

    Raises InputError without features or labels, and for fewer than three classes of 10 pictures.

    >>> labels = torch.arange(60) % 3
    >>> features = torch.nn.functional.one_hot(labels, 3) + 0.1 * torch.rand(60, 3)
    >>> from backlight.audit.detectors import DETECTORS
    >>> found = leave_classes_out(Activations.of(features, features=features, labels=labels), [DETECTORS["knn"]])
    >>> len(found.unknown_of("knn"))
    60
    """
    if seen.labels is None:
        raise InputError("no labels", expected="a label for every picture, to leave classes out")
    rows, classes = _chosen(seen.labels, seed)
    features = _principal(seen.rows_of_features(rows), seed)
    labels = torch.searchsorted(classes, seen.labels[rows])
    halves = Random((seed, "left out"), rows).uniform(stream="half") < 0.5
    found = LeftOut({card.name: [] for card in cards}, {card.name: [] for card in cards})
    order = Random((seed, "left out"), classes).uniform(stream="group").argsort()
    for group in order.chunk(min(GROUPS, len(classes))):
        outside = torch.isin(labels, group)
        known = _fitted(features[~outside & halves], labels[~outside & halves])
        inside, others = (_seen(known, features[mask]) for mask in (~outside & ~halves, outside))
        for card in cards:
            _add(found, card.name, card.fit(known), inside, others)
    return found


def _chosen(labels: Tensor, seed: Seed) -> tuple[Tensor, Tensor]:
    """Choose pictures and classes, each class in proportion."""
    classes, counts = labels.unique(return_counts=True)
    classes = classes[counts >= LEAST_PICTURES]
    if len(classes) < 3:
        raise InputError(f"{len(classes)} classes of {LEAST_PICTURES} pictures", expected="three, to leave classes out")
    keys = Random((seed, "left out"), classes).uniform(stream="class")
    classes = classes[keys.argsort()[:MOST_CLASSES]].sort().values
    rows = torch.isin(labels, classes).nonzero()[:, 0]
    keys = Random((seed, "left out"), rows).uniform(stream="picture", dtype=torch.float64)
    return rows[keys.argsort()[:MOST_PICTURES]].sort().values, classes


def _principal(features: Tensor, seed: Seed) -> Tensor:
    """Project on the principal directions, found by subspace iteration (Halko et al. 2011, arXiv:0909.4061)."""
    offset = features - features.mean(0)
    if offset.shape[1] <= DIMENSIONS:
        return offset
    start = Random((seed, "principal"), torch.arange(offset.shape[1])).normal(DIMENSIONS)
    basis = torch.linalg.qr(start).Q
    for _ in range(3):
        basis = torch.linalg.qr(offset.T @ (offset @ basis)).Q
    return offset @ basis


def _fitted(features: Tensor, labels: Tensor) -> Known:
    present, numbers = labels.unique(return_inverse=True)
    probe = fit_probe(features, numbers, classes=len(present), penalty=_PENALTY, iterations=_ITERATIONS)
    weight = (probe.weight / probe.scale[:, None]).T
    head = Head(weight, probe.bias - weight @ probe.mean)
    return Known(Activations(head.logits(features), features, numbers), head)


def _seen(known: Known, features: Tensor) -> Activations:
    return Activations(known.linear.logits(features), features)


def _add(found: LeftOut, name: str, score: Score, inside: Activations, outside: Activations) -> None:
    known, others = (score(some).double().numpy() for some in (inside, outside))
    ordered = np.sort(known)
    found.known[name].append(_ranks(ordered, known))
    found.unknown[name].append(_ranks(ordered, others))


def _ranks(ordered: np.ndarray, values: np.ndarray) -> np.ndarray:
    sides = [np.searchsorted(ordered, values, side) for side in ("left", "right")]
    return (sides[0] + sides[1]) / (2 * len(ordered))
