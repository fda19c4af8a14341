"""Certified training: learning from the worst logits that bounds allow within eps (IBP, CROWN-IBP)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from backlight.bounds import (
    BatchStatistics,
    Interval,
    Step,
    checked_steps,
    input_box,
    margins_of,
    normalized,
    propagate,
    steps_of,
)
from backlight.classifier import Classifier
from backlight.core.errors import UsageError
from backlight.pixels.ascent import Ascent

Loss = Callable[[Tensor, Tensor], Tensor]
"""From logits `[A,K]` and labels `[A]` to one number per picture."""
Course = tuple[float, float]
"""A weight when training begins, and when eps has its whole size; in between it goes with eps."""


@dataclass(frozen=True)
class WorstCase:
    """Add to the loss of a picture, which weighs `kappa`, the loss of the worst logits within `eps` in linf.

    They are worked out by intervals, and with the weight `beta` by linear bounds on top of them (CROWN-IBP). Raises
    UsageError for weights outside of 0 to 1.

    >>> WorstCase(2 / 255, kappa=(1.0, 0.5)).weights(0.5)
    (0.75, 0.0)
    """

    eps: float
    kappa: Course = (1.0, 0.5)
    beta: Course = (0.0, 0.0)

    def __post_init__(self) -> None:
        for name in ("kappa", "beta"):
            for value in getattr(self, name):
                if not 0 <= value <= 1:
                    raise UsageError(f"{name}={value}", expected="a weight, 0 to 1")

    @property
    def ascent(self) -> Ascent:
        """Return the ball that is proved about, which attacks can look for exceptions in."""
        return Ascent("linf", self.eps)

    def weights(self, strength: float) -> tuple[float, float]:
        """Return kappa and beta when eps has the share `strength` of its size."""
        kappa, beta = (begin + (end - begin) * strength for begin, end in (self.kappa, self.beta))
        return kappa, beta


class WorstCaseLoss:
    """The loss of a network in training, beside that of the worst logits: gradients reach its weights through both.

    Bounds are those of evaluation: dropout is left out. A BatchNorm that is trained normalizes by the mean and the
    variance of the batch's clean pictures, which gradients pass through (Shi et al. 2021, arXiv:2103.17268); one that
    rests normalizes by its running statistics. These follow the clean pictures of the step alone.

    Raises LayerError and ModelError, before anything is learned, for networks that no bounds are known for.

    >>> from torch import nn
    >>> classifier = Classifier.from_module(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), size=2)
    >>> images, labels = torch.rand(1, 3, 2, 2), torch.tensor([1])
    >>> loss = WorstCaseLoss(classifier, WorstCase(0.1))
    >>> both = loss.of(classifier.logits(images), images, partial(F.cross_entropy, reduction="none"), strength=1.0)
    >>> both(classifier.logits(images), labels).shape
    torch.Size([1])
    """

    def __init__(self, classifier: Classifier, worst: WorstCase) -> None:
        self.classifier, self.worst = classifier, worst
        self.statistics = BatchStatistics(classifier.module)
        size = classifier.size or (1, 1)
        checked_steps(classifier, torch.zeros(1, classifier.channels, *size, device=classifier.device))
        with classifier.guard():
            self.steps: tuple[Step, ...] = steps_of(classifier.module, self.statistics)

    def of(self, logits: Tensor, images: Tensor, loss: Loss, *, strength: float) -> Loss:
        """Return the loss of logits and labels of images `[A,C,H,W]`, whose worst logits are bounded here.

        `loss` is the recipe's; eps has the share `strength` of its size. `logits` tell the precision of the model.
        """
        images = images.to(logits.dtype)
        box = input_box(self.classifier, images, strength * self.worst.eps)
        self.statistics.take(self.steps, normalized(self.classifier, images))
        intervals = propagate(self.steps, box)
        return partial(self._mixed, intervals, loss, *self.worst.weights(strength))

    def _mixed(
        self, intervals: list[Interval], loss: Loss, kappa: float, beta: float, logits: Tensor, labels: Tensor
    ) -> Tensor:
        worst = worst_logits(self.steps, intervals, labels, beta)
        return kappa * loss(logits, labels) + (1 - kappa) * loss(worst, labels)


def worst_logits(steps: tuple[Step, ...], intervals: list[Interval], labels: Tensor, beta: float) -> Tensor:
    """Return logits `[A,K]`, 0 for the label, that no picture of the box exceeds by another class minus the label.

    `beta` is the weight of linear bounds; the rest is that of intervals.

    >>> from torch import nn
    >>> steps = steps_of(nn.Sequential(nn.Linear(2, 3)))
    >>> found = propagate(steps, Interval(torch.zeros(1, 2), torch.ones(1, 2)))
    >>> worst_logits(steps, found, torch.tensor([1]), beta=0.0)[0, 1]
    tensor(0., grad_fn=<SelectBackward0>)
    """
    # A bound of weight 0 is not worked out, nor multiplied: the label's own is infinite.
    parts = [
        weight * margins_of(steps, intervals, labels, linear=linear)
        for weight, linear in ((1 - beta, False), (beta, True))
        if weight
    ]
    margins = parts[0] if len(parts) == 1 else parts[0] + parts[1]
    return (-margins).masked_fill(F.one_hot(labels, margins.shape[1]).bool(), 0.0)
