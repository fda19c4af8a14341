"""The referee: attacks propose, it decides.

It asks the model that it was given, never the faster copy that was searched on, in batches of one fixed size,
and what has no well-defined prediction, is not in the ball or not in the box is never a success.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from backlight.attack.threat import ThreatModel
from backlight.classifier import Classifier
from backlight.classifier.batches import fixed_batches
from backlight.classifier.heads import predicted_classes
from backlight.pixels import Result
from backlight.pixels.result import Stopped

UNDECIDED = 1e-4
"""Margins smaller than this may change sign with the batch's shape or the machine."""


@dataclass(frozen=True, eq=False, repr=False)
class Verdict:
    """What the referee found for A pictures.

    `prediction` int64, -1 where none is well defined, `margin` (below 0 where fooled: the label's logit minus the best
    other, or the best other minus the target's), `distance` in the threat model's norm, `inside` whether
    the picture is allowed, `success` fooled and inside.

    >>> one = torch.ones(1)
    >>> Verdict(one.long(), margin=1e-6 * one, distance=one, inside=one.bool(), success=one.bool()).undecided
    tensor([True])
    """

    prediction: Tensor
    margin: Tensor
    distance: Tensor
    inside: Tensor
    success: Tensor

    @property
    def undecided(self) -> Tensor:
        """Describe where the margin is too small to be sure of: bool `[A]`."""
        return self.margin.abs() < UNDECIDED


@dataclass(frozen=True, eq=False, repr=False)
class Referee:
    """Judge pictures for originals `[B,C,H,W]` with labels `[B]`, or with targets `[B]` to be reached.

    >>> from torch import nn
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    >>> classifier = Classifier.from_module(net, size=2)
    >>> x = torch.rand(4, 3, 2, 2)
    >>> y = classifier.logits(x).argmax(1)
    >>> Referee(classifier, x, y, ThreatModel()).judge(x).success
    tensor([False, False, False, False])
    """

    classifier: Classifier
    originals: Tensor
    labels: Tensor
    threat: ThreatModel
    targets: Tensor | None = None
    clean: Tensor | None = None
    """The originals' logits `[B,K]` where they are known: originals are then not looked at again."""
    _seen: dict[str, Tensor] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        if self.clean is not None:
            with torch.inference_mode(False), torch.no_grad():
                self._seen.update(images=self.originals.clone(), logits=self.clean.clone())

    def logits(self, images: Tensor, rows: Tensor) -> Tensor:
        """Look at pictures `[A,C,H,W]` of `rows`; the one last looked at in a row is not looked at again."""
        if not self._seen:
            self._seen["images"] = torch.full_like(self.originals, torch.nan)
        known = (images == self._seen["images"][rows]).flatten(1).all(1)
        new = (~known).nonzero()[:, 0]
        if not len(new) and "logits" in self._seen:
            return self._seen["logits"][rows]
        found = judge_logits(self.classifier, images[new])
        if "logits" not in self._seen:
            self._seen["logits"] = found.new_zeros(len(self.originals), found.shape[1])
        self._seen["images"][rows[new]], self._seen["logits"][rows[new]] = images[new], found
        return self._seen["logits"][rows]

    def judge(self, images: Tensor, rows: Tensor | None = None) -> Verdict:
        """Judge pictures `[A,C,H,W]`, by default of all originals, else of those at `rows` (int64 `[A]`)."""
        rows = torch.arange(len(self.originals), device=images.device) if rows is None else rows
        with torch.inference_mode(False), torch.no_grad():
            logits = self.logits(images, rows)
        originals, mask = self.originals[rows], self.threat.mask_of(self.originals)
        distance = self.threat.distance(images, originals)
        inside = self.threat.inside(images, originals, None if mask is None else mask[rows], distance=distance)
        margin = self.margin(logits, rows)
        prediction = predicted_classes(logits)
        return Verdict(prediction, margin, distance, inside, inside & self.fooled(prediction, rows))

    def fooled(self, prediction: Tensor, rows: Tensor) -> Tensor:
        """Describe which predicted classes `[A]`, -1 where there is none, are what the attacker wants: bool `[A]`."""
        wanted = prediction != self.labels[rows] if self.targets is None else prediction == self.targets[rows]
        return wanted & (prediction >= 0)

    def margin(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Return how far logits `[A,K]` are on the defender's side, in logits: `[A]`."""
        meant = (self.labels if self.targets is None else self.targets)[rows][:, None]
        others = logits.scatter(1, meant, -torch.inf).amax(1)
        own = logits.gather(1, meant)[:, 0]
        return own - others if self.targets is None else others - own  # not minus the other: that could be -0

    def confirm(self, result: Result) -> Result:
        """Judge the pictures that a run claims as successes; a claim that fails is none any more.

        Pictures that did not run in it, and failures, cost nothing.
        """
        claims = (result.success & (result.stopped != Stopped.NOT_RUN)).nonzero()[:, 0]
        if not len(claims):
            return result
        success = result.success.clone()
        success[claims] = self.judge(result.images[claims], claims).success
        return replace(result, success=success)


def judge_logits(classifier: Classifier, images: Tensor) -> Tensor:
    """Compute logits `[A,K]` in batches of one fixed size, the last one filled up: no batch changes another's.

    >>> from torch import nn
    >>> classifier = Classifier.from_module(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), size=2)
    >>> judge_logits(classifier, torch.rand(3, 3, 2, 2)).shape
    torch.Size([3, 2])
    """
    with torch.inference_mode(False), torch.no_grad(), classifier.guard():
        if not len(images):
            kind = torch.promote_types(classifier.dtype, torch.float32)
            return torch.zeros(0, classifier.classes, dtype=kind, device=images.device)
        seen = ("logits",)
        return torch.cat([classifier.record(batch, seen)["logits"][:count] for batch, count in fixed_batches(images)])
