"""Attacks that look for the smallest change in any norm, l0 and l1 among them, and APGD in the l1 ball."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from backlight.attack.challenge import Challenge
from backlight.attack.gradient import bound_of
from backlight.attack.nearest import check_in_norm, fewer, gain_of, halved, settled
from backlight.attack.objectives import Objective, objective_name, objective_of
from backlight.attack.rules.apgd_l1 import SparseAPGD
from backlight.attack.rules.primal_dual import PrimalDual, PrimalDualProximal
from backlight.attack.rules.sigma_zero import SigmaZero
from backlight.core.random import Random
from backlight.pixels import Gaussian, Result
from backlight.pixels.describe import Brief
from backlight.pixels.starts import Start

_RADII = ((3, 0.3), (2, 0.3))  # of eps, and of the steps; what is left of them runs at eps


def sigma_zero(challenge: Challenge, *, steps: int = 1000, after: Result | None = None) -> Result:
    """Run sigma-zero (Cina et al. 2025, arXiv:2402.01879): change as few values as possible, l0.

    Values are counted, not pixels. Nothing is drawn at random. Afterwards changed values are put back where the success
    outlasts it.

    >>> from backlight.testing import small_challenge
    >>> sigma_zero(small_challenge("l0", None), steps=5).steps.max()
    tensor(5)
    """
    check_in_norm(challenge, "sigma-zero", "l0")
    free = challenge.unbounded()
    found = free.approach(gain_of(free), SigmaZero(free.images), steps=steps, stream="sigma-zero")
    return settled(challenge, fewer(free, found), after)


def pdpgd(challenge: Challenge, *, steps: int = 500, after: Result | None = None) -> Result:
    """Run primal-dual proximal gradient descent (Matyasko and Chau 2021, arXiv:2106.01538), in any norm.

    In l0 the powers of 2/3 stand in for the count, and sigma-zero comes nearer. Afterwards the line back is halved; in
    l0 changed values are put back.

    >>> from backlight.testing import small_challenge
    >>> pdpgd(small_challenge("l1", None), steps=5).steps.max()
    tensor(5)
    """
    free = challenge.unbounded()
    rule = PrimalDualProximal(free.images, free.threat.norm)
    found = free.approach(gain_of(free), rule, steps=steps, stream="pdpgd")
    nearer = fewer if free.threat.norm == "l0" else halved
    return settled(challenge, nearer(free, found), after)


def pdgd(challenge: Challenge, *, steps: int = 500, after: Result | None = None) -> Result:
    """Run primal-dual gradient descent (Matyasko and Chau 2021, arXiv:2106.01538), l2, then halve the line back.

    >>> from backlight.testing import small_challenge
    >>> pdgd(small_challenge("l2", None), steps=5).steps.max()
    tensor(5)
    """
    check_in_norm(challenge, "pdgd", "l2")
    free = challenge.unbounded()
    found = free.approach(gain_of(free), PrimalDual(free.images), steps=steps, stream="pdgd")
    return settled(challenge, halved(free, found), after)


def apgd_l1(
    challenge: Challenge,
    *,
    steps: int = 100,
    objective: Objective = "cross-entropy",
    restarts: int = 1,
    after: Result | None = None,
) -> Result:
    """Run Auto-PGD in the l1 ball cut with the box (Croce and Hein 2021, arXiv:2103.01208).

    30% of the steps run in a ball of three times the size, 30% in one of twice the size, each from the best point of
    the last, brought nearer; only what is found in the ball itself counts.

    Raises UsageError in another norm than l1, or without an eps.

    >>> from backlight.testing import small_challenge
    >>> apgd_l1(small_challenge("l1", 0.5), steps=10).images.shape
    torch.Size([4, 3, 2, 2])
    """
    check_in_norm(challenge, "apgd-l1", "l1")
    eps, climbed = bound_of(challenge, "apgd-l1"), objective_of(challenge, objective)
    after = challenge.begin() if after is None else after
    for restart in range(restarts):
        stream, left = ("apgd-l1", objective_name(objective), restart), steps
        start: Start = Gaussian(1.0)
        for number, (radius, share) in enumerate(_RADII):
            wide = replace(challenge, threat=replace(challenge.threat, eps=radius * eps))
            rule = SparseAPGD(challenge.images, radius * eps, known=number > 0)
            count = int(share * steps)
            left -= count
            before = replace(Result.blank(challenge.images), success=after.success)
            found = wide.climb(
                climbed, rule, steps=count, stream=(stream, radius), moved=wide.pixels(start), after=before, stop=False
            )
            start, after = Points(found.images), _spend(after, found)
        rule = SparseAPGD(challenge.images, eps, known=True)
        moved = challenge.pixels(start)
        after = challenge.climb(climbed, rule, steps=left, stream=(stream, 1), moved=moved, after=after)
    return after


def _spend(result: Result, found: Result) -> Result:
    """Add what a search cost whose pictures do not count."""
    names = ("forwards", "backwards", "zero_grads")
    return replace(result, **{name: getattr(result, name) + getattr(found, name) for name in names})


@dataclass(frozen=True, repr=False, eq=False)
class Points(Brief):
    """Start at given points `[B,C,H,W]`.

    >>> import torch
    >>> Points(torch.ones(2, 1, 1, 1))(torch.zeros(1, 1, 1, 1), torch.tensor([1]), Random(0, [1]))
    tensor([[[[1.]]]])
    """

    points: Tensor

    def __call__(self, images: Tensor, rows: Tensor, random: Random) -> Tensor:
        """Return start points for originals `[A,C,H,W]` at `rows` of the batch."""
        return self.points[rows]
