"""What is explained: a score per image, made from a target and a quantity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor

from backlight.classifier import Classifier
from backlight.classifier.heads import Head
from backlight.classifier.targets import Target, resolve_targets
from backlight.core.errors import InputError, UsageError, did_you_mean
from backlight.core.random import Random

QUANTITIES = ("logit", "probability", "loss")
Scorer = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Contrast:
    """Explain why one class rather than another: the score of `positive` minus that of `negative`.

    >>> Contrast("cat", "dog")
    Contrast(positive='cat', negative='dog')
    """

    positive: Target
    negative: Target


@dataclass(frozen=True)
class Objective:
    """A score of each image: `score(logits, rows)` for the images at `rows` of the batch.

    `target` [B] is the class explained, `against` [B] the class of a contrast; both are None where a callable
    of the logits `[A,classes] -> [A]` is explained instead.

    >>> import torch
    >>> Objective(torch.tensor([1]), "logit").score(torch.tensor([[1.0, 3.0]]))
    tensor([3.])
    """

    target: Tensor | None
    quantity: str = "logit"
    against: Tensor | None = None
    function: Scorer | None = None
    head: Head = field(default_factory=Head, repr=False)

    def score(self, logits: Tensor, rows: Tensor | slice = slice(None)) -> Tensor:
        """Compute the score `[A]` of logits `[A,classes]`."""
        if self.function is not None:
            return _checked_scores(self.function(logits), len(logits))
        assert self.target is not None
        value = self._quantity(logits, self.target[rows])
        return value if self.against is None else value - self._quantity(logits, self.against[rows])

    def _quantity(self, logits: Tensor, target: Tensor) -> Tensor:
        if self.quantity == "loss":
            return self.head.cross_entropy(logits, target)
        probability = self.quantity == "probability"
        values = self.head.probabilities(logits) if probability else self.head.class_scores(logits)
        return values.gather(1, target[:, None])[:, 0]


def resolve_objective(
    classifier: Classifier,
    logits: Tensor,
    target: Target | Contrast | Scorer,
    quantity: str = "logit",
    random: Random | None = None,
) -> Objective:
    """Resolve what the caller asked to explain, given the images' logits `[B,classes]`.

    Raises UsageError for an unknown quantity and InputError for targets that do not exist.

    >>> import torch
    >>> from torch import nn
    >>> classifier = Classifier.from_module(nn.Sequential(nn.Flatten(), nn.Linear(12, 3)), size=2)
    >>> resolve_objective(classifier, torch.tensor([[1.0, 3.0, 2.0]]), "top").target
    tensor([1])
    """
    if quantity not in QUANTITIES:
        raise UsageError(f"quantity {quantity!r}", hint=did_you_mean(quantity, QUANTITIES))
    if isinstance(target, Contrast):
        positive = resolve_targets(classifier, logits, target.positive, random=random)
        negative = resolve_targets(classifier, logits, target.negative, random=random)
        return Objective(positive, quantity, against=negative, head=classifier.head)
    if callable(target):
        return Objective(None, quantity, function=target)
    return Objective(resolve_targets(classifier, logits, target, random=random), quantity, head=classifier.head)


def _checked_scores(scores: Tensor, count: int) -> Tensor:
    if scores.shape != (count,):
        raise InputError(f"the target function returns shape {tuple(scores.shape)}", expected=f"[{count}] scores")
    return scores
