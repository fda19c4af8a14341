"""Inner attacks of adversarial training: projected ascent by the pixel loop, for every start and every objective."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from backlight.classifier import Classifier
from backlight.classifier.targets import resolve_targets
from backlight.core.errors import UsageError
from backlight.core.random import Random
from backlight.pixels import Box, Constraint, Gaussian, Measure, Pixels, Rule, Uniform, cross_entropy, turns
from backlight.pixels.ascent import Ascent
from backlight.pixels.problem import RandomKey
from backlight.pixels.starts import Start
from backlight.pixels.view import guarded

TARGETS = ("none", "random", "least-likely")


@dataclass(frozen=True)
class Climb:
    """Climb from a start near the picture by `ascent`, the parts of PGD, and return the last point.

    `reach`: a uniform start within so many eps, 0 for the picture itself; `deviation`: normal noise of so many pixel
    units in its place. `projected`: whether start and steps stay in the ball, or in the box [0,1] alone. `diverge`:
    leave the prediction of the clean picture (the Kullback-Leibler divergence of TRADES), not the label. `target`:
    `none` leaves the label, `random` and `least-likely` go to that class.

    Raises UsageError for another target.

    >>> Climb(Ascent("linf", 0.1, steps=1, step_size=0.125))
    Climb(ascent=Ascent(norm='linf', eps=0.1, steps=1, step_size=0.125, momentum=0.0), reach=1.0, ...)
    """

    ascent: Ascent
    reach: float = 1.0
    deviation: float = 0.0
    projected: bool = True
    diverge: bool = False
    target: str = "none"

    def __post_init__(self) -> None:
        if self.target not in TARGETS:
            raise UsageError(f"target={self.target}", expected=" or ".join(TARGETS))

    def __call__(
        self, classifier: Classifier, images: Tensor, labels: Tensor, random: Random, *, strength: float = 1.0
    ) -> Tensor:
        """Return pictures `[B,C,H,W]`; an attack of half its `strength` has half its eps, steps and noise."""
        ascent = _scaled(self.ascent, strength)
        return _climbed(
            classifier,
            self._objective(classifier, images, labels, random),
            Pixels(images, self._start(ascent)),
            ascent.rule,
            steps=ascent.steps,
            constraint=ascent.inside(images) if self.projected else Box(),
            random=((random.seed, "start", random.t), random.ids),
        )

    def _start(self, ascent: Ascent) -> Start | None:
        if self.deviation:
            return Gaussian(self.deviation)
        if not self.reach:
            return None
        return ascent.start if self.reach == 1 else Uniform(ascent.norm, self.reach * ascent.eps)

    def _objective(self, classifier: Classifier, images: Tensor, labels: Tensor, random: Random) -> Measure:
        if not self.diverge and self.target == "none":
            return cross_entropy(labels)
        # One pass serves all steps: in evaluation mode the clean picture's prediction does not change.
        with torch.no_grad(), classifier.guard():
            logits = classifier.record(images, ("logits",))["logits"]
        if self.diverge:
            return divergence(logits)
        return -cross_entropy(resolve_targets(classifier, logits, self.target, random=random, avoid=labels))


def divergence(logits: Tensor) -> Measure:
    """Measure the Kullback-Leibler divergence from the prediction of `logits` `[B,K]` to that of what is looked at.

    >>> divergence(torch.zeros(1, 2))
    divergence
    """
    clean = logits.log_softmax(1)
    return Measure(
        lambda view: F.kl_div(view.logits.log_softmax(1), view.pick(clean), reduction="none", log_target=True).sum(1),
        "divergence",
    )


def _scaled(ascent: Ascent, strength: float) -> Ascent:
    if strength == 1:
        return ascent
    size = ascent.step_size
    return replace(ascent, eps=strength * ascent.eps, step_size=None if size is None else strength * size)


def _climbed(
    classifier: Classifier,
    objective: Measure,
    pixels: Pixels,
    rule: Rule,
    *,
    steps: int,
    constraint: Constraint,
    random: RandomKey,
) -> Tensor:
    """Take the steps and return where the pixels are then: the step that learns from them is the look at them."""
    with guarded(classifier):
        walk = turns(
            classifier,
            objective,
            pixels,
            rule,
            steps=steps,
            constraint=constraint,
            keep="last",
            random=random,
            # What the step learns from in one pass can be looked at in one: smaller ones cost a twentieth of the time.
            chunk=max(1, len(pixels)),
        )
        for run in walk:
            if run.t == steps:
                break
    found = run.result.images
    found[run.rows] = run.params
    return found
