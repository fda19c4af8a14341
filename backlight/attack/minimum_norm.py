"""Attacks that look for the nearest success: DDN, FMN, Carlini-Wagner and DeepFool.

They run without eps; where the threat model has one, only successes within it count in the end.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backlight.attack.auto import each_in_turn
from backlight.attack.challenge import Challenge
from backlight.attack.nearest import check_in_norm, gain_of, halved, settled
from backlight.attack.rules.minimum_norm import DDN, FMN, DeepFool
from backlight.core.random import Random
from backlight.pixels import Adam, Result, cross_entropy, distance, hinge
from backlight.pixels.describe import Brief
from backlight.pixels.parametrizations import through_rounding

_INSIDE = 1e-3  # tanh hardly moves near its ends
_SLOPE = 0.5  # of the picture by tanh's argument, at medium gray
_STRIDE = 0.3  # of the nearest success: Adam moves every value by its whole step, however near that is
_SHORT = 0.1  # of the nearest success, where the next constant starts
_UNKNOWN = 1e10  # the largest constant of Carlini and Wagner, until a success gives a smaller one


def ddn(challenge: Challenge, *, steps: int = 100, after: Result | None = None) -> Result:
    """Run Decoupled Direction and Norm (Rony et al. 2019, arXiv:1811.09600), l2, then halve the line back.

    The distance shrinks by 5% a step, so successes that are very near are reached by the halving alone.

    >>> from backlight.testing import small_challenge
    >>> ddn(small_challenge("l2", None)).steps.max()
    tensor(100)
    """
    check_in_norm(challenge, "ddn", "l2")
    free = challenge.unbounded()
    climbed = cross_entropy(free.labels) if free.targets is None else -cross_entropy(free.targets)
    found = free.approach(climbed, DDN(free.images), steps=steps, stream="ddn")
    return settled(challenge, halved(free, found), after)


def fmn(challenge: Challenge, *, steps: int = 100, after: Result | None = None) -> Result:
    """Run Fast Minimum Norm (Pintor et al. 2021, arXiv:2102.12827), l2 or linf.

    >>> from backlight.testing import small_challenge
    >>> fmn(small_challenge("linf", None)).steps.max()
    tensor(100)
    """
    check_in_norm(challenge, "fmn", "l2", "linf")
    free = challenge.unbounded()
    rule = FMN(free.images, free.threat.norm)
    return settled(challenge, free.approach(gain_of(free), rule, steps=steps, stream="fmn"), after)


def deepfool(challenge: Challenge, *, steps: int = 50, rivals: int = 9, after: Result | None = None) -> Result:
    """Run DeepFool (Moosavi-Dezfooli et al. 2016, arXiv:1511.04599), l2 or linf, then halve the line back.

    Each step looks once per rival, the most likely other classes; images leave at their first success. Halving
    the line to the original then takes away what the overshoot of 2% added.

    >>> from backlight.testing import small_challenge
    >>> deepfool(small_challenge("l2", None)).images.shape
    torch.Size([4, 3, 2, 2])
    """
    check_in_norm(challenge, "deepfool", "l2", "linf")
    free = challenge.unbounded()
    count = free.rivals(rivals).shape[1]
    rule = DeepFool(free.images, free.threat.norm, rivals=count)
    found = free.approach(each_in_turn(free, count), rule, steps=count * steps, stream="deepfool", first=True)
    return settled(challenge, halved(free, found), after)


def carlini_wagner(
    challenge: Challenge, *, steps: int = 200, rounds: int = 9, lr: float = 0.01, after: Result | None = None
) -> Result:
    """Minimize distance plus c times the margin by Adam, and bisect c per image (arXiv:1608.04644), l2.

    `rounds` constants are tried, `steps` Adam steps each, which shorten with the nearest success so far; after each
    the line back to the original is halved.

    >>> from backlight.testing import small_challenge
    >>> carlini_wagner(small_challenge("l2", None), steps=10).images.shape
    torch.Size([4, 3, 2, 2])
    """
    check_in_norm(challenge, "cw", "l2")
    free = challenge.unbounded()
    far = distance(free.images, "l2", squared=True)
    mask = free.threat.mask_of(free.images)
    constant = free.clean.new_full((len(free.images),), 1e-3)
    low, high, best = torch.zeros_like(constant), torch.full_like(constant, _UNKNOWN), free.begin()
    for number in range(rounds):
        moved = Tanh(free.images, _short_of(free, best), free.threat.lattice, mask)
        climbed = constant * hinge(gain_of(free)) - far
        rule = Adam(lr, rates=_rates(free, best, lr))
        found = free.approach(climbed, rule, steps=steps, stream=("cw", number), moved=moved)
        # A first success only measures how near the boundary is: steps of full length cross it with any constant.
        measured, best = best.success, halved(free, best.merge(found))
        high = torch.where(found.success & measured, torch.minimum(high, constant), high)
        low = torch.where(found.success, low, torch.maximum(low, constant))
        raised = torch.where(found.success, constant, constant * 10)
        constant = torch.where(high < _UNKNOWN, (low + high) / 2, raised)
    return settled(challenge, best, after)


@dataclass(frozen=True, repr=False, eq=False)
class Tanh(Brief):
    """Update numbers whose tanh is the picture, so that the box needs no projection.

    `originals` and `starts` are `[B,C,H,W]`. `lattice` rounds pictures to 8 bits towards the originals, the
    gradient going straight through; outside of `mask` `[B,C,H,W]` pictures stay the originals.

    >>> images = torch.full((1, 3, 2, 2), 0.25)
    >>> moved = Tanh(images, images)
    >>> float(moved.images(moved.start(torch.tensor([0]), Random(0, [0])), torch.tensor([0])).mean())
    0.25...
    """

    originals: Tensor
    starts: Tensor
    lattice: bool = False
    mask: Tensor | None = None

    @property
    def pixels(self) -> bool:
        """State that parameters are no pixels."""
        return False

    def __len__(self) -> int:
        return len(self.originals)

    def start(self, rows: Tensor, random: Random) -> Tensor:
        """Return the starts, a little inside the box: exact black and white would never move."""
        inside = (2 * self.starts[rows] - 1).clamp(_INSIDE - 1, 1 - _INSIDE)
        # torch's atanh rounds differently by position in a tensor; the logarithms do not.
        return ((1 + inside).log() - (1 - inside).log()) / 2

    def images(self, params: Tensor, rows: Tensor) -> Tensor:
        """Turn parameters into pictures `[A,C,H,W]`."""
        originals = self.originals[rows]
        pictures = (torch.tanh(params) + 1) / 2
        if self.lattice:
            pictures = through_rounding(pictures, originals)
        return pictures if self.mask is None else torch.where(self.mask[rows], pictures, originals)


def _short_of(challenge: Challenge, found: Result) -> Tensor:
    """Start a little before the nearest success: from the success itself, any constant would seem large enough.

    From the original, exactly black and white pixels would be slow to leave in a tanh.
    """
    return challenge.images + (1 - _SHORT) * (found.images - challenge.images) * found.success.view(-1, 1, 1, 1)


def _rates(challenge: Challenge, found: Result, lr: float) -> Tensor:
    """Shorten Adam's steps where the nearest success is so near that they would lead past it."""
    far = challenge.threat.distance(found.images, challenge.images)
    stride = _STRIDE * far / found.images[0].numel() ** 0.5
    return torch.where(found.success, (stride / (lr * _SLOPE)).clamp(max=1), 1.0)
