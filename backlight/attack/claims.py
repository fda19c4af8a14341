"""Searches whose successes are claims: the referee confirms them, and one that fails erases no other.

The model that is searched on and the batch that it is looked at in differ in the last bits from what the referee
asks, and the nearest success stands by design where these bits decide.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from backlight.attack.referee import Referee
from backlight.classifier import Classifier
from backlight.core.chunks import Chunk
from backlight.pixels import Measure, Result, Rule, margin, optimize
from backlight.pixels.constraints import Constraint
from backlight.pixels.parametrizations import LEVELS, Parametrization
from backlight.pixels.problem import Keep, RandomKey
from backlight.pixels.run import Run
from backlight.pixels.transforms import Transforms

STRETCHES = tuple(1e-6 * 4**number for number in range(11))
"""By how much a change is stretched, in turn, until the referee agrees: the last one about doubles it."""


@dataclass(frozen=True, eq=False, repr=False)
class Search:
    """Hold the arguments of `backlight.pixels.optimize` for one search on the model `classifier`."""

    classifier: Classifier
    objective: Measure
    moved: Parametrization
    rule: Rule
    steps: int
    success: Measure
    stop: Measure | None
    random: RandomKey
    chunk: Chunk
    constraint: Constraint | None = None
    transforms: Transforms | None = None
    keep: Keep = "best"
    watch: Callable[[Run], None] | None = None

    def run(self, rows: Tensor) -> Result:
        """Search for the images of `rows` (bool `[B]`)."""
        return optimize(
            self.classifier,
            self.objective,
            self.moved,
            self.rule,
            steps=self.steps,
            constraint=self.constraint,
            transforms=self.transforms,
            success=self.success,
            stop=self.stop,
            keep=self.keep,
            random=self.random,
            rows=rows,
            chunk=self.chunk,
            watch=self.watch,
        )


@dataclass(frozen=True, eq=False, repr=False)
class Within:
    """Which pictures are allowed where no projection keeps them inside, and by which measure one of them stays."""

    allowed: Measure
    keep: Measure


def confirmed(search: Search, referee: Referee, rows: Tensor) -> Result:
    """Search for the images of `rows` (bool `[B]`) and confirm what is claimed.

    Where a claim fails, the same search goes on to its end and the picture that fools by the widest margin is judged.
    """
    claimed = search.run(rows)
    found = referee.confirm(claimed)
    denied = claimed.success & ~found.success
    if not bool(denied.any()):
        return found
    return found.merge(referee.confirm(_widest(search, referee).run(denied)))


def confirmed_nearest(search: Search, referee: Referee, rows: Tensor) -> Result:
    """Search for the nearest success of `rows` (bool `[B]`) and confirm what is claimed; `score` is minus its distance.

    A claim that fails is stretched along the line from the original until the referee agrees. Where it never does,
    the picture that fools by the widest margin is judged.
    """
    claimed = search.run(rows)
    found = stretched(claimed, referee.confirm(claimed), referee)
    denied = claimed.success & ~found.success
    if not bool(denied.any()):
        return found
    widest = referee.confirm(_widest(search, referee).run(denied))
    far = referee.threat.distance(widest.images, referee.originals).to(widest.score)
    return found.merge(replace(widest, score=torch.where(denied, -far, widest.score)))


def _widest(search: Search, referee: Referee) -> Search:
    gain = -margin(referee.labels) if referee.targets is None else margin(referee.targets)
    return replace(search, stop=None, keep=gain)


def stretched(claimed: Result, found: Result, referee: Referee) -> Result:
    """Take claims that the referee denied in `found` farther from the original until it agrees, if it ever does."""
    images, score, success = found.images.clone(), found.score.clone(), found.success.clone()
    for stretch in STRETCHES:
        rows = (claimed.success & ~success).nonzero()[:, 0]
        if not len(rows):
            break
        original = referee.originals[rows]
        farther = (original + (1 + stretch) * (claimed.images[rows] - original)).clamp(0, 1)
        if referee.threat.lattice:
            farther = (farther * LEVELS).round() / LEVELS
        verdict = referee.judge(farther, rows)
        good = rows[verdict.success]
        images[good], success[good] = farther[verdict.success], True
        score[good] = -verdict.distance[verdict.success].to(score)
    return replace(found, images=images, score=score, success=success)
