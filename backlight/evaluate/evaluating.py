"""How good a classifier is on a data set: one table, and every number that follows from it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from backlight.classifier import Classifier
from backlight.classifier.heads import UNDEFINED
from backlight.classifier.predictions import class_name
from backlight.core.display import Displayed
from backlight.core.errors import Failure
from backlight.core.processes import Engine
from backlight.core.progress import Progress
from backlight.data.dataset import Dataset
from backlight.evaluate import metrics
from backlight.evaluate.calibration import Reliability, reliability
from backlight.evaluate.confusion import Confusion
from backlight.evaluate.samples import check_labeled, check_one_class, fitted, predict_dataset
from backlight.evaluate.slices import Slice, accuracy_by_slice
from backlight.table import Table
from backlight.table.statistics import mean_interval, wilson

_TOLD = 10  # single pictures in the document
_NO_INTERVAL = (None, None)


@dataclass(frozen=True)
class Evaluation(Displayed):
    """A table of samples with the numbers that follow from it; `failed` names pictures that could not be read.

    >>> columns = {"label": [0, 1], "prediction": [0, 0], "confidence": [0.9, 0.8], "logits": [[2.0, 0.0]] * 2}
    >>> Evaluation(Table.of(id=["a", "b"], loss=[0.1, 2.0], **columns), ("cat", "dog")).accuracy
    0.5
    """

    table: Table
    labels: tuple[str, ...]
    split: str = "all"
    failed: tuple[Failure, ...] = ()
    seconds: float = 0.0

    @cached_property
    def confusion(self) -> Confusion:
        """Count pictures by true and predicted class."""
        return metrics.confusion(self.table, len(self.labels))

    @property
    def accuracy(self) -> float:
        """Return the share of pictures that are predicted right."""
        return metrics.accuracy(self.table)

    @property
    def accuracy_interval(self) -> tuple[float, float]:
        """Return the 95% Wilson interval of the accuracy."""
        return wilson(int(self.confusion.right.sum()), len(self.table))

    @property
    def top5(self) -> float:
        """Return the share of pictures whose label is among the five highest logits."""
        return metrics.top_k(self.table, 5)

    @cached_property
    def reliability(self) -> Reliability:
        """Compare confidence with accuracy."""
        return reliability(self.table)

    @property
    def per_class(self) -> dict[str, metrics.ClassScore]:
        """Score each class by name."""
        return dict(zip(self.labels, metrics.per_class(self.confusion)))

    @property
    def most_confused(self) -> list[metrics.Confused]:
        """List the ten pairs of classes that are confused most often."""
        return metrics.most_confused(self.confusion, self.labels)

    def slices(self, values: Mapping[str, str]) -> list[Slice]:
        """Return the accuracy by a value per id, worst first."""
        return accuracy_by_slice(self.table, values)

    @property
    def top_losses(self) -> list[dict[str, Any]]:
        """Describe the ten pictures of highest loss: id, names of label and prediction, confidence, loss."""
        return self._told(metrics.top_losses(self.table, _TOLD))

    @property
    def suspected_label_errors(self) -> list[dict[str, Any]]:
        """Describe ten pictures, highest loss first, whose label the model contradicts with much confidence."""
        return self._told(metrics.suspected_label_errors(self.table, top=_TOLD))

    def _told(self, rows: Table) -> list[dict[str, Any]]:
        names = ("label", "prediction")
        kept = rows.select(*names, "confidence", "loss").rows()
        return [row | {name: class_name(self.labels, row[name]) for name in names} for row in kept]

    @property
    def not_finite(self) -> list[str]:
        """List the ids of the pictures without a prediction, wrong and left out of loss and calibration."""
        return _not_finite(self.table)

    def summary_table(self) -> Table:
        """Return a row per metric: its mean over pictures, with the 95% interval `from` and `to` where it has one."""
        top5 = self.top5
        rows: list[tuple[str, float, tuple[float | None, float | None]]] = [
            ("accuracy", self.accuracy, self.accuracy_interval),
            ("top5", top5, wilson(round(top5 * len(self.table)), len(self.table))),
            ("balanced_accuracy", metrics.balanced_accuracy(self.confusion), _NO_INTERVAL),
            ("macro_f1", metrics.macro_f1(self.confusion), _NO_INTERVAL),
            ("loss", *mean_interval(self.table["loss"])),
            ("ece", self.reliability.ece, _NO_INTERVAL),
        ]
        names, means, bounds = zip(*rows)
        ends = {"from": [low for low, _ in bounds], "to": [high for _, high in bounds]}
        return Table.numbered({"metric": names, "n": [len(self.table)] * len(rows), "mean": means, **ends})

    def to_json(self) -> dict[str, Any]:
        """Return the document of the verb `evaluate`."""
        return {
            "n": len(self.table),
            "split": self.split,
            "accuracy": self.accuracy,
            "accuracy_interval": list(self.accuracy_interval),
            "balanced_accuracy": metrics.balanced_accuracy(self.confusion),
            "macro_f1": metrics.macro_f1(self.confusion),
            "top5": self.top5,
            "loss": metrics.mean_loss(self.table),
            "ece": self.reliability.ece,
            "not_finite": self.not_finite,
            "per_class": {name: score.to_json() for name, score in self.per_class.items()},
            "confusion": self.confusion.to_json(),
            "labels": list(self.labels),
            "most_confused": [vars(pair) for pair in self.most_confused],
            "top_losses": self.top_losses,
            "suspected_label_errors": self.suspected_label_errors,
            "seconds": round(self.seconds, 3),
        }


def evaluate(
    classifier: Classifier,
    data: Dataset,
    *,
    batch_size: int = 256,
    tta: bool = False,
    logits: bool | None = None,
    folder: Path | None = None,
    engine: Engine | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Evaluate a classifier on a labeled data set; `tta` averages over shifted and mirrored views.

    Pictures of another size are resized by the classifier's own rule, colors become grey where it has one channel,
    and labels are matched by name. The table holds `logits` where they take at most 256 MiB, or as asked. Finished
    blocks are kept in `folder` and read back; several processes share the work and all get the same result.

    Raises DataError for unlabeled data and for labels that the classifier does not know.

    >>> import torch
    >>> from torch import nn
    >>> data = Dataset.of(torch.zeros(4, 3, 8, 8, dtype=torch.uint8), [0, 1, 1, 0], ["a", "b"])
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    >>> evaluate(Classifier.from_module(net, size=8, labels=["a", "b"]), data).accuracy
    0.5
    """
    check_labeled(data)
    check_one_class(classifier, data)
    start = time.perf_counter()
    sized = fitted(classifier, data)
    samples = predict_dataset(
        classifier,
        sized,
        batch_size=batch_size,
        tta=tta,
        logits=logits,
        folder=folder,
        engine=engine,
        progress=progress,
    )
    labels = classifier.labels or data.label_names
    failed = (*data.failed, *samples.failed, *(Failure(name, UNDEFINED) for name in _not_finite(samples.table)))
    return Evaluation(samples.table, labels, data.split, failed, time.perf_counter() - start)


def _not_finite(table: Table) -> list[str]:
    return table.select("prediction").where(table["prediction"] < 0).ids
