"""How well labels are found of which a picture may have several: each is a question of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from backlight.classifier import Classifier
from backlight.core.chunks import Chunk, in_chunks
from backlight.core.errors import DataError, Failure, ModelError
from backlight.core.progress import Progress, reporting
from backlight.data.dataset import Dataset
from backlight.evaluate.samples import fitted
from backlight.table import Table
from backlight.table.statistics import wilson


def average_precision(scores: np.ndarray, present: np.ndarray) -> float | None:
    """Compute the average precision of one label: the mean precision at each step of recall, None without positives.

    `scores` are `[N]`, higher where the label is more likely, `present` bool `[N]`. Pictures of equal score are counted
    together, so their order says nothing. Pictures without a score (NaN) are wrong: present ones come last, absent
    ones first. The formula is that of Zhu (2004) and scikit-learn, without interpolation.

    >>> average_precision(np.array([0.9, 0.8, 0.7]), np.array([True, False, True]))
    0.8333333333333333
    """
    present = np.asarray(present, dtype=bool)
    if not present.any():
        return None
    scores = np.where(np.isnan(scores), np.where(present, -np.inf, np.inf), scores)
    order = np.argsort(-scores, kind="stable")
    found, ends = present[order].cumsum(), np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    precision, recall = found[ends] / (ends + 1), found[ends] / found[-1]
    return float((np.diff(recall, prepend=0.0) * precision).sum())


@dataclass(frozen=True)
class LabelScore:
    """How well one label is found; None where nothing was counted.

    `n` pictures have it. `precision`, `recall` and `f1` are those of probabilities above one half.

    >>> LabelScore(2, 0.75, precision=1.0, recall=0.5, f1=2 / 3).average_precision
    0.75
    """

    n: int
    average_precision: float | None
    precision: float | None
    recall: float | None
    f1: float


@dataclass(frozen=True, eq=False)
class MultilabelScores:
    """Scores of every label by name, and over all of them.

    `mean_average_precision` is the mean over labels that occur, `all_right` the share of pictures of which every
    label is answered rightly; `not_finite` are the places of pictures without an answer, which count as wrong.

    >>> MultilabelScores(1, {"sea": LabelScore(1, 0.5, 1.0, 1.0, 1.0)}, 1.0, ()).mean_average_precision
    0.5
    """

    n: int
    labels: dict[str, LabelScore]
    all_right: float
    not_finite: tuple[int, ...]

    @property
    def mean_average_precision(self) -> float | None:
        """Return the mean of the labels' average precisions; None where no label occurs."""
        known = [one.average_precision for one in self.labels.values() if one.average_precision is not None]
        return float(np.mean(known)) if known else None

    def summary_table(self) -> Table:
        """Return a row per metric over all labels, with the 95% interval `from` and `to` where it has one."""
        low, high = wilson(round(self.all_right * self.n), self.n)
        means = (self.mean_average_precision, self.all_right)
        ends = {"from": [None, low], "to": [None, high]}
        return Table.numbered(
            {"metric": ["mean_average_precision", "all_right"], "n": [self.n] * 2, "mean": means, **ends}
        )

    def to_json(self) -> dict[str, Any]:
        """Return `{"n","mean_average_precision","all_right","not_finite","per_class"}`."""
        return {
            "n": self.n,
            "mean_average_precision": self.mean_average_precision,
            "all_right": self.all_right,
            "not_finite": list(self.not_finite),
            "per_class": {name: vars(one) for name, one in self.labels.items()},
        }


def score_multilabel(probabilities: np.ndarray, present: np.ndarray, labels: Sequence[str]) -> MultilabelScores:
    """Score probabilities `[N,labels]` against which labels are there, bool `[N,labels]`.

    Raises DataError where shapes differ or there is nothing to score.

    >>> scores = score_multilabel(np.array([[0.9, 0.2], [0.4, 0.6]]), np.array([[1, 0], [0, 1]]), ["sea", "sky"])
    >>> scores.mean_average_precision, scores.all_right
    (1.0, 1.0)
    """
    probabilities, present = np.asarray(probabilities, dtype=np.float64), np.asarray(present).astype(bool)
    if probabilities.shape != present.shape or probabilities.shape[1:] != (len(labels),) or not len(present):
        found = f"probabilities {list(probabilities.shape)}, truth {list(present.shape)}, {len(labels)} labels"
        raise DataError(found, expected="[N,labels] twice, with a name for each label")
    lost = np.isnan(probabilities).any(1)
    said = np.where(np.isnan(probabilities), ~present, probabilities > 0.5)
    scores = {
        name: _label_score(probabilities[:, k], said[:, k], present[:, k]) for k, name in enumerate(map(str, labels))
    }
    right = float(((said == present).all(1) & ~lost).mean())
    return MultilabelScores(len(present), scores, right, tuple(np.flatnonzero(lost).tolist()))


def _label_score(probabilities: np.ndarray, said: np.ndarray, present: np.ndarray) -> LabelScore:
    both, named, there = int((said & present).sum()), int(said.sum()), int(present.sum())
    return LabelScore(
        there,
        average_precision(probabilities, present),
        both / named if named else None,
        both / there if there else None,
        2 * both / (named + there) if named + there else 0.0,
    )


def evaluate_multilabel(
    classifier: Classifier, images: Tensor, present: Tensor, *, chunk: int | Chunk | None = None
) -> MultilabelScores:
    """Evaluate a multi-label classifier on images `[N,C,H,W]` in [0,1] whose labels are `present`, bool `[N,labels]`.

    Raises ModelError for a classifier that is none, DataError where shapes differ.

    >>> from torch import nn
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    >>> many = Classifier.from_module(net, size=2, labels=["sea", "sky", "sun"], outputs="multilabel")
    >>> evaluate_multilabel(many, torch.rand(4, 3, 2, 2), torch.eye(4, 3)).n
    4
    """
    if not classifier.multilabel:
        raise ModelError(f"{classifier.name} has one class per picture", expected="outputs='multilabel'")
    with torch.no_grad():
        size = Chunk.fitting(images) if chunk is None else chunk
        found = torch.cat(list(in_chunks(lambda part: classifier.probabilities(images[part]), len(images), size)))
    names = classifier.labels or tuple(map(str, range(found.shape[1])))
    return score_multilabel(found.cpu().numpy(), present.cpu().numpy(), names)


def evaluate_targets(
    classifier: Classifier, data: Dataset, *, batch_size: int = 256, progress: Progress | None = None
) -> tuple[MultilabelScores, tuple[Failure, ...]]:
    """Evaluate a multi-label classifier on data whose pictures have several labels; return also what could not be read.

    Labels are matched by name, pictures brought to the model's size and channels.

    Raises ModelError for a classifier of one class per picture, DataError for data without `targets`, with names that
    the classifier lacks, or without a readable picture.

    >>> from torch import nn
    >>> from dataclasses import replace
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    >>> many = Classifier.from_module(net, size=2, labels=["sea", "sky"], outputs="multilabel")
    >>> plain = Dataset.of(torch.zeros(3, 3, 2, 2, dtype=torch.uint8), label_names=["sea", "sky"])
    >>> evaluate_targets(many, replace(plain, targets=torch.tensor([[1, 0], [1, 1], [0, 0]]).bool()))[0].n
    3
    """
    if not classifier.multilabel:
        raise ModelError(f"{classifier.name} has one class per picture", expected="outputs='multilabel'")
    if data.targets is None:
        raise DataError(f"{data.name} has one label a picture", expected="several, as in a list with 'cat;dog'")
    sized = fitted(classifier, data)
    assert sized.targets is not None
    found, present, failed = list[Tensor](), list[Tensor](), list(data.failed)
    with torch.no_grad(), reporting(progress, len(sized), f"evaluate {data.name}") as advance:
        for batch in sized.batches(batch_size):
            if len(batch.ids):
                found.append(classifier.probabilities(batch.images).cpu())
                present.append(sized.targets[batch.rows])
            failed += batch.failed
            advance(len(batch.ids) + len(batch.failed))
    if not found:
        raise DataError(f"{data.name} has no readable picture", expected="at least one")
    names = classifier.labels or data.label_names
    scores = score_multilabel(torch.cat(found).numpy(), torch.cat(present).numpy(), names)
    return scores, tuple(failed)
