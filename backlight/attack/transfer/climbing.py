"""The short loop of transfer attacks: each step asks for as many gradients as the rule wants, wherever it wants them.

It is no use to the loop of `backlight.pixels`, which looks once a turn at an allowed point: most of these rules look
outside of the ball, and several times.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

from backlight.attack.challenge import Challenge
from backlight.attack.gradient import bound_of
from backlight.attack.nearest import check_in_norm
from backlight.attack.objectives import Objective, objective_of
from backlight.attack.transfer.rules import Momentum, TransferRule, Turn
from backlight.classifier.gradients import differentiate_one
from backlight.core.chunks import in_chunks
from backlight.core.random import Random, hash_ids
from backlight.pixels import Measure, Result, Stopped, View
from backlight.pixels.geometry import length
from backlight.pixels.parametrizations import LEVELS, round_towards
from backlight.pixels.run import Run
from backlight.pixels.transforms import Transforms

STEPS = 10
_STREAM = "transfer"
_MI = Momentum()

P = TypeVar("P")


def climb_to_transfer(
    challenge: Challenge,
    *,
    rule: TransferRule = _MI,
    transforms: Transforms | None = None,
    steps: int = STEPS,
    step_size: float | None = None,
    objective: Objective = "cross-entropy",
    samples: int | None = None,
    after: Result | None = None,
) -> Result:
    """Step along the sign of a rule's direction from the picture itself, and keep where the last step ends, linf.

    Steps have length eps / `steps` unless `step_size` says otherwise. No picture stops early: how far it is over the
    surrogate's boundary is what another model may notice. `samples` overrules how many neighbors a rule looks at and
    how many views a transform shows, where these are several.

    Raises UsageError in another norm, or without an eps.

    >>> from torch import nn
    >>> from backlight import Classifier
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    >>> challenge = Challenge.of(Classifier.from_module(net, size=2), torch.rand(4, 3, 2, 2))
    >>> climb_to_transfer(challenge, steps=3).backwards
    tensor([3, 3, 3, 3])
    """
    check_in_norm(challenge, "a transfer attack", "linf")
    eps = bound_of(challenge, "a transfer attack")
    size = eps / max(steps, 1) if step_size is None else step_size
    rule, transforms = resampled(rule, samples), resampled(transforms, samples)
    with torch.inference_mode(False), torch.no_grad(), challenge.search.guard():
        before = challenge.begin() if after is None else after
        rows = (~before.success).nonzero()[:, 0]
        if not len(rows):
            return before
        found = replace(Result.blank(challenge.images), images=challenge.images.clone())
        climb = _Climb(challenge, objective_of(challenge, objective), rule, transforms, steps, size, eps, found)
        for _ in in_chunks(lambda part: climb.run(rows[part]), len(rows), challenge.chunk):
            pass
        return before.merge(_judged(challenge, rows, found))


def resampled(part: P, samples: int | None) -> P:
    """Return a rule or a transform with another number of `samples`, where it has several.

    >>> from backlight.attack.transfer.around import Variance
    >>> resampled(Variance(), 5).looks, resampled(Momentum(), 5).looks
    (6, 1)
    """
    if samples is None or getattr(part, "samples", 1) == 1:
        return part
    again = getattr(part, "resampled", None)
    found: P = replace(part, samples=samples) if again is None else again(samples)  # type: ignore[type-var]
    return found


@dataclass(frozen=True, eq=False)
class _Climb:
    """Everything that a chunk of pictures needs."""

    challenge: Challenge
    objective: Measure
    rule: TransferRule
    transforms: Transforms | None
    steps: int
    size: float
    eps: float
    found: Result
    """Where pictures are, of the whole batch; filled in step by step."""

    def run(self, rows: Tensor) -> bool:
        """Take all steps with the pictures of some rows."""
        challenge, found = self.challenge, self.found
        constraint = challenge.threat.constraint(challenge.images)
        images, memory, zeros = challenge.images[rows], dict[str, Tensor](), torch.zeros_like(rows)
        places = torch.arange(len(challenge.images)) if challenge.ids is None else hash_ids(challenge.ids)
        ids, looks = places.to(rows.device)[rows], self.rule.looks * _samples(self.transforms)
        for t in range(self.steps):
            random = Random((challenge.seed, _STREAM), ids, t)
            turn = Turn(images, self.size, self.eps, random, partial(self._slope, rows, t, random))
            direction, memory = self.rule.direction(turn, memory)
            far = length(direction, "linf")
            zeros = zeros + ((far == 0) | ~far.isfinite())
            # Where a gradient is no number the picture stays, instead of becoming one without numbers.
            images = constraint.project(images + self.size * direction.sign().nan_to_num(0.0), rows, t)
            found.images[rows], found.steps[rows], found.zero_grads[rows] = images, t + 1, zeros
            found.forwards[rows] = found.backwards[rows] = (t + 1) * looks
            if challenge.watch is not None:
                challenge.watch(Run(t + 1, rows, images, {}, found, str))
        return True

    def _slope(self, rows: Tensor, t: int, random: Random, points: Tensor, number: int) -> Tensor:
        """Differentiate the objective at any points, averaged over views that this look draws for itself."""
        samples, batch = _samples(self.transforms), len(self.challenge.images)
        random, mean = random.fork(("look", number)), torch.zeros_like(points)
        for draw in range(samples):  # one graph is alive at a time
            with torch.enable_grad():
                leaf = points.detach().requires_grad_()
                shown = leaf if self.transforms is None else self.transforms(leaf, random, draw)
                view = View(self.challenge.search, shown, layers=self.objective.layers, rows=rows, batch=batch, t=t)
                mean = mean + differentiate_one(self.objective(view), leaf) / samples
        return mean


def _samples(transforms: Transforms | None) -> int:
    return 1 if transforms is None else transforms.samples


def _judged(challenge: Challenge, rows: Tensor, found: Result) -> Result:
    """Let the referee judge where the pictures of some rows ended, rounded to 8 bits where these are asked for."""
    images = found.images[rows]
    if challenge.threat.lattice:
        images = round_towards(images, challenge.images[rows]) / LEVELS
    verdict = challenge.referee.judge(images, rows)
    found.images[rows], found.success[rows] = images, verdict.success
    margin = torch.where(verdict.inside, -verdict.margin, -torch.inf).to(found.score)
    found.value[rows], found.score[rows] = margin, margin
    found.stopped[rows] = Stopped.STEPS.value
    return found
