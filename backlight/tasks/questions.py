"""One label of a multi-label model as a question of its own, to the model and to the pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from backlight.attack import RobustnessRequest
from backlight.classifier import Classifier
from backlight.core.errors import DataError, UsageError
from backlight.data import Dataset
from backlight.evaluate import match_labels

_SHOWN = 5


def one_question(
    classifier: Classifier, pictures: Dataset, asked: RobustnessRequest
) -> tuple[Classifier, Dataset, RobustnessRequest]:
    """Turn an attack on a multi-label model into one on the label that is its target; any other stays as it is.

    The model becomes `classifier.question(LABEL)`, the labels of pictures whether they have it, and the attack one
    that changes the answer, yes or no.

    Raises UsageError where no label is named, InputError for an unknown one, DataError for pictures without labels.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 3))
    >>> many = Classifier.from_module(net, size=2, labels=["sky", "sea", "sun"], outputs="multilabel")
    >>> data = Dataset.of(torch.zeros(3, 3, 2, 2).byte(), [0, 1, 2], many.labels)
    >>> asked, pictures, _ = one_question(many, data, RobustnessRequest("fgsm", target="sea"))
    >>> asked.labels, pictures.labels.tolist()
    (('not sea', 'sea'), [0, 1, 0])
    """
    if not classifier.multilabel:
        return classifier, pictures, asked
    label = asked.target
    if not isinstance(label, str | int) or asked.chosen.target != label:
        found = f"{classifier.name} answers a question per label"
        raise UsageError(found, expected="one label to attack", hint=f"--target {_listed(classifier.labels)}")
    index, known = classifier.class_index(label), match_labels(classifier, pictures)
    if known.targets is None and not known.labeled:
        raise DataError(f"{pictures.name} has pictures without labels", expected="all labeled")
    present = known.labels == index if known.targets is None else known.targets[:, index]
    question = classifier.question(index)
    two = replace(known, labels=present.long(), label_names=question.labels, targets=None)
    return question, two, replace(asked, target=None)


def _listed(labels: Sequence[str]) -> str:
    shown = " | ".join(labels[:_SHOWN]) or "LABEL"
    return shown + (" | ..." if len(labels) > _SHOWN else "")
