"""The most likely classes of images, with their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from backlight.classifier.classifier import Classifier
from backlight.classifier.heads import NO_PREDICTION


@dataclass(frozen=True)
class Prediction:
    """One class for one picture: its label and index, its probability and its logit.

    >>> Prediction("cat", 3, 0.9, 7.1).label
    'cat'
    """

    label: str
    index: int
    probability: float
    logit: float


def class_name(labels: Sequence[str], index: int) -> str:
    """Name a class, by its number where it has no name; -1 is where no prediction is well defined.

    >>> class_name(["cat"], 0), class_name(["cat"], 7), class_name(["cat"], -1)
    ('cat', '7', 'no prediction')
    """
    if index < 0:
        return NO_PREDICTION
    return labels[index] if index < len(labels) else str(index)


def top_classes(classifier: Classifier, logits: Tensor, top: int) -> list[tuple[Prediction, ...]]:
    """List the `top` most likely classes of each row of logits `[B,classes]`; equal logits by index.

    Where there is no well-defined prediction the list is empty.

    >>> import torch
    >>> from torch import nn
    >>> classifier = Classifier.from_module(nn.Flatten(), labels=["cat", "dog"])
    >>> top_classes(classifier, torch.tensor([[0.0, 1.0]]), 1)[0][0].label
    'dog'
    """
    probabilities = classifier.head.probabilities(logits)
    order = logits.argsort(dim=1, descending=True, stable=True)[:, :top]
    rows = zip(order.tolist(), probabilities.gather(1, order).tolist(), logits.gather(1, order).tolist())
    return [
        tuple(Prediction(classifier.label(i), i, p, logit) for i, p, logit in zip(*row, strict=True)) if known else ()
        for row, known in zip(rows, classifier.head.well_defined(logits).tolist())
    ]
