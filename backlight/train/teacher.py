"""Distillation: what a trained network says of a picture, learned beside its label."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from backlight.classifier import Classifier
from backlight.core.errors import ModelError, UsageError
from backlight.core.fingerprint import fingerprint
from backlight.core.grammar import parse_per_channel, parse_spec
from backlight.core.options import options_of, read_options
from backlight.models.loader import load
from backlight.train.losses import Loss

_FINGERPRINT = 16


@dataclass(frozen=True)
class TeacherSpec:
    """A teacher as it is written: a model as everywhere, and how its answers are learned from.

    `weight` is the share of the loss that is the teacher's; `temperature` divides the logits of both before they are
    compared. `weights`, `mean` and `std` belong to the model.

    Raises UsageError for values that make no sense.

    >>> TeacherSpec.read("runs/robust:temperature=2,weight=0.5").temperature
    2.0
    >>> TeacherSpec.read("vit:depth=2").model
    'vit:depth=2'
    """

    model: str
    temperature: float = 4.0
    weight: float = 0.9
    weights: str | None = None
    mean: str | None = None
    std: str | None = None

    def __post_init__(self) -> None:
        if not self.temperature > 0 or not 0 < self.weight <= 1:
            found = f"teacher with temperature={self.temperature}, weight={self.weight}"
            raise UsageError(found, expected="a temperature above 0, a weight above 0 and at most 1")
        _ = parse_per_channel("mean", self.mean), parse_per_channel("std", self.std)

    @staticmethod
    def read(text: str) -> TeacherSpec:
        """Read `MODEL`, or `MODEL:temperature=4,weight=0.9`; a model's own options stand before."""
        model, colon, rest = text.rpartition(":")
        options = options_of(_options)
        if not (colon and model and rest.partition("=")[0].strip() in options):
            return TeacherSpec(text)
        chosen = read_options("teacher", parse_spec(f"teacher:{rest}").options, {}, options)
        return TeacherSpec(model, **chosen)

    def load(self, student: Classifier) -> Teacher:
        """Load the teacher of a student; raises as `load` and `Teacher` do."""
        mean, std = parse_per_channel("mean", self.mean), parse_per_channel("std", self.std)
        classifier = load(self.model, weights=self.weights, mean=mean, std=std, device=student.device)
        return Teacher(classifier, student, temperature=self.temperature, weight=self.weight)


def _options(
    *,
    temperature: float = 4.0,
    weight: float = 0.9,
    weights: str | None = None,
    mean: str | None = None,
    std: str | None = None,
) -> None: ...


class Teacher:
    """A trained classifier whose answers a student of the same classes learns; it is looked at and left as it is.

    It looks at the pictures as they were before any attack, in evaluation mode. Where pictures are attacked the student
    answers for the attacked ones (Goldblum et al. 2020, arXiv:1905.09747), so that a robust teacher's answers are to
    hold within the whole ball.

    Raises UsageError for a teacher of other classes, ModelError for one of another input size.

    >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 2))
    >>> classifier = Classifier.from_module(net, size=2)
    >>> Teacher(classifier, classifier).logits(torch.rand(3, 3, 2, 2)).shape
    torch.Size([3, 2])
    """

    def __init__(
        self, classifier: Classifier, student: Classifier, *, temperature: float = 4.0, weight: float = 0.9
    ) -> None:
        if classifier.channels != student.channels or classifier.size not in (None, student.size):
            found = f"the teacher looks at {_sees(classifier)}, the student at {_sees(student)}"
            raise ModelError(found, expected="the same pictures for both", hint="--size")
        self.classifier, self.temperature, self.weight = classifier, temperature, weight
        self.places = _places(classifier, student)

    @property
    def fingerprint(self) -> str:
        """Return what decides about the teacher's answers, as the run keeps it."""
        return fingerprint(self.classifier)[:_FINGERPRINT]

    def logits(self, images: Tensor) -> Tensor:
        """Return its logits of pictures `[A,C,H,W]`, the classes in the student's order."""
        with torch.no_grad():
            return self.classifier.record(images, ("logits",))["logits"][:, self.places]

    def beside(self, taught: Tensor, loss: Loss) -> Loss:
        """Return the loss of logits and labels where `taught` `[A,K]` is what the teacher said of the same pictures.

        (1 - weight) times `loss`, and weight times temperature squared times the Kullback-Leibler divergence of the
        student's answer from the teacher's, both at that temperature (Hinton et al. 2015, arXiv:1503.02531).
        """

        def distilled(logits: Tensor, labels: Tensor) -> Tensor:
            return (1 - self.weight) * loss(logits, labels) + self.weight * self._divergence(taught, logits)

        return distilled

    def _divergence(self, taught: Tensor, logits: Tensor) -> Tensor:
        told, said = ((one / self.temperature).log_softmax(1) for one in (taught.to(logits), logits))
        return self.temperature**2 * F.kl_div(said, told, reduction="none", log_target=True).sum(1)


def _places(classifier: Classifier, student: Classifier) -> Tensor:
    """Return where each class of the student stands among those of the teacher: by name, else by number."""
    if classifier.labels and student.labels:
        lacking = [name for name in student.labels if name not in classifier.labels]
        if lacking:
            found = f"the teacher {classifier.name} does not know {lacking[:5]}"
            raise UsageError(found, expected="a teacher that knows every class of the data")
        order = [classifier.labels.index(name) for name in student.labels]
    elif classifier.classes != student.classes:
        found = f"a teacher of {classifier.classes} classes for a student of {student.classes}"
        raise UsageError(found, expected="the same classes for both")
    else:
        order = list(range(student.classes))
    return torch.tensor(order, device=classifier.device)


def _sees(classifier: Classifier) -> str:
    size = "any size" if classifier.size is None else f"{classifier.size[0]} x {classifier.size[1]} pixels"
    return f"{size} in {classifier.channels} channels"
