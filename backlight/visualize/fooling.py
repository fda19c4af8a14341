"""Fooling images: a picture changed until the classifier sees the target in it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backlight.classifier import Classifier
from backlight.classifier.targets import Target, resolve_targets
from backlight.core.errors import InputError, UsageError
from backlight.core.random import Random
from backlight.images.render import amplify
from backlight.pixels import Box, InputSpace, Lattice, Pixels, Unit, cross_entropy, logit, predicted, probability
from backlight.pixels.geometry import length
from backlight.visualize.pictures import Pictures, Watch, climb


@dataclass(frozen=True)
class FoolingPreset:
    """Constants of a fooling image: step length, number of steps, and where it stops.

    `step` is the l2 length of a step in the network's input space. `confidence` is the probability wanted of the
    target; at 0 being the prediction is enough. `lattice` changes whole 8-bit levels only, so that a saved PNG
    fools too. `objective` is "logit" or "cross-entropy".

    >>> FoolingPreset().confidence
    0.9
    """

    steps: int = 300
    step: float = 0.5
    confidence: float = 0.9
    lattice: bool = True
    objective: str = "cross-entropy"


PRESETS = {
    "confident": FoolingPreset(),
    "cs231n": FoolingPreset(100, 1.0, 0.0, False, "logit"),
}
"""`cs231n` climbs the target's logit by steps of length 1 until it is the prediction, as the exercise does."""


@dataclass(frozen=True, eq=False)
class Fooling(Pictures):
    """Fooling pictures: `originals`, `targets` and `success` `[B]`, and the l2 `distance` in pixel units `[B]`.

    >>> from torch import nn
    >>> classifier = Classifier.from_module(nn.Sequential(nn.Flatten(), nn.Linear(48, 3)), size=4)
    >>> made = fooling_image(classifier, torch.rand(2, 3, 4, 4), 1, preset="cs231n")
    >>> bool(made.distance[0] >= made.difference[0].abs().max())
    True
    """

    originals: Tensor = torch.zeros(0)
    targets: Tensor = torch.zeros(0)
    success: Tensor = torch.zeros(0)

    @property
    def difference(self) -> Tensor:
        """Return what was added `[B,C,H,W]`, signed."""
        return self.images - self.originals

    @property
    def amplified(self) -> Tensor:
        """Return ten times the difference around gray, as a picture `[B,C,H,W]`."""
        return torch.stack([amplify(one) for one in self.difference]) if len(self) else self.images

    @property
    def distance(self) -> Tensor:
        """Return the l2 length of the difference in pixel units `[B]`."""
        return length(self.difference, "l2")


def fooling_image(
    classifier: Classifier,
    images: Tensor,
    target: Target,
    *,
    preset: str | FoolingPreset = "confident",
    confidence: float | None = None,
    steps: int | None = None,
    watch: Watch | None = None,
    seed: int = 0,
) -> Fooling:
    """Change pictures `[B,C,H,W]` by normalized ascent until the classifier predicts `target`.

    `target` is a label, a number, "second", "least-likely" or "random", one for all or a tensor `[B]`. The default
    climbs to a probability of `confidence`; "cs231n" stops when the target is the prediction. Each picture leaves
    as soon as it is done. Success is judged anew on the finished pictures.

    Raises InputError for unknown targets and a confidence outside of [0, 1), UsageError for an unknown preset.

    >>> from torch import nn
    >>> classifier = Classifier.from_module(nn.Sequential(nn.Flatten(), nn.Linear(48, 3)), size=4)
    >>> made = fooling_image(classifier, torch.rand(2, 3, 4, 4), 1, preset="cs231n")
    >>> made.difference.shape
    torch.Size([2, 3, 4, 4])
    """
    images = classifier.check(images).detach()
    constants = _constants(preset, confidence)
    with torch.no_grad():
        logits = classifier.logits(images)
    random = Random((seed, "target"), list(range(len(images))))
    targets = resolve_targets(classifier, logits, target, random=random)
    climbed = logit(targets) if constants.objective == "logit" else -cross_entropy(targets)
    reached = predicted(targets)
    if constants.confidence > 0:
        reached = reached & (probability(targets) >= constants.confidence)
    made = climb(
        classifier,
        climbed,
        (Lattice if constants.lattice else Pixels)(images),
        InputSpace(Unit(constants.step), classifier.std),
        steps=constants.steps if steps is None else steps,
        names=tuple(classifier.label(index) for index in targets.tolist()),
        watch=watch,
        description="fooling images",
        constraint=Box(),
        success=reached,
        stop=reached,
        random=((seed, "fool"), None),
    )
    judged = reached.evaluate(classifier, made.images)
    return Fooling(**vars(made), originals=images, targets=targets, success=judged)


def _constants(preset: str | FoolingPreset, confidence: float | None) -> FoolingPreset:
    if isinstance(preset, str):
        if preset not in PRESETS:
            raise UsageError(f"preset {preset!r}", expected=" | ".join(PRESETS))
        preset = PRESETS[preset]
    wanted = preset.confidence if confidence is None else confidence
    if not 0 <= wanted < 1:
        raise InputError(f"confidence {wanted}", expected="0 (the prediction is enough) or more, below 1")
    return FoolingPreset(preset.steps, preset.step, wanted, preset.lattice, preset.objective)
