"""RayS: search the corners of the linf ball by turning blocks of signs around (Chen and Gu 2020)."""

from __future__ import annotations

from collections.abc import Generator

import torch
from torch import Tensor

from backlight.attack.black_box.begin import begin
from backlight.attack.black_box.queries import Answers, Place, Walk, ask
from backlight.attack.challenge import Challenge
from backlight.attack.nearest import check_in_norm
from backlight.pixels import Result

_FINE = 1e-3  # of the radius


def rays(challenge: Challenge, *, queries: int = 5000, after: Result | None = None) -> Result:
    """Run RayS (Chen and Gu 2020, arXiv:2006.12792), linf: it reads decisions only and has nothing to tune.

    The published start, all values up, may reach no other class at any radius, and then never ends; here all down and
    the directions to up to 100 random pictures follow until one does.

    >>> from backlight.testing import small_challenge
    >>> bool((rays(small_challenge("linf", None), queries=100).forwards <= 100).all())
    True
    """
    check_in_norm(challenge, "rays", "linf")
    return ask(challenge, "rays", _walk, queries=queries, nearest=True, after=after)


def _walk(place: Place) -> Walk:
    signs = yield from _first_signs(place)
    if signs is None:
        return
    radius = yield from _radius(place, signs, 1.0)
    level = 0
    while True:
        for block in signs.flatten().split(-(-signs.numel() // 2**level)):
            block.neg_()  # a view: turns these signs around in place
            answers = yield (place.original + radius * signs)[None]
            if bool(answers.fooled[0]):
                radius = yield from _radius(place, signs, radius)
            else:
                block.neg_()
        level += 2 ** (level + 1) < 2 * signs.numel()


def _first_signs(place: Place) -> Generator[Tensor, Answers, Tensor | None]:
    """Look for a corner of the box that fools: all up, all down, then towards random pictures."""
    for sign in (1.0, -1.0):
        signs = torch.full_like(place.original, sign)
        answers = yield (place.original + signs)[None]
        if bool(answers.fooled[0]):
            return signs
    corner = yield from begin(place, shape=lambda picture: (picture > place.original).to(picture))
    return None if corner is None else torch.where(corner > 0.5, 1.0, -1.0).to(corner).contiguous()


def _radius(place: Place, signs: Tensor, high: float) -> Generator[Tensor, Answers, float]:
    """Halve the radius down to the smallest that fools, by steps of 0.001."""
    low = 0.0
    while high - low > _FINE:
        middle = (low + high) / 2
        answers = yield (place.original + middle * signs)[None]
        low, high = (low, middle) if bool(answers.fooled[0]) else (middle, high)
    return high
