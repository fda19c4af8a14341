"""SimBA: step along one pixel or one cosine wave at a time, and keep what helps (Guo et al. 2019)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from backlight.attack.black_box.queries import Place, Walk, ask
from backlight.attack.black_box.waves import cosines
from backlight.attack.challenge import Challenge
from backlight.attack.gradient import bound_of
from backlight.attack.nearest import check_in_norm
from backlight.core.errors import UsageError
from backlight.pixels import Result

BASES = ("pixel", "dct")
_BANDS = 32  # of frequencies, from low to high


def simba(
    challenge: Challenge, *, queries: int = 5000, basis: str = "pixel", step: float = 0.2, after: Result | None = None
) -> Result:
    """Run SimBA (Guo et al. 2019, arXiv:1905.07121), l2 or linf: try less and more of one direction, keep what helps.

    Directions are single values (`pixel`) in a random order, or cosine waves (`dct`), random within bands from low to
    high frequencies; each has l2 length `step`. What helps lowers the margin, where the paper takes the label's
    probability, which a sure model rounds to 1. Changes that leave the ball are brought back to it.

    Raises UsageError in l1, without an eps, or for another basis.

    >>> from backlight.testing import small_challenge
    >>> bool((simba(small_challenge(), queries=20).forwards <= 20).all())
    True
    """
    check_in_norm(challenge, "simba", "l2", "linf")
    bound_of(challenge, "simba")
    if basis not in BASES:
        raise UsageError(f"simba:basis={basis}", expected=" or ".join(BASES))
    return ask(challenge, f"simba {basis}", partial(_walk, basis=basis, step=step), queries=queries, after=after)


def _walk(place: Place, *, basis: str, step: float) -> Walk:
    point, gain = place.original, float(place.gain)
    turn = 0
    while True:
        moved = False
        for direction in _pixels(place, turn) if basis == "pixel" else _waves(place, turn):
            for sign in (-step, step):
                proposed = place.project((point + sign * direction)[None])
                if torch.equal(proposed[0], point):
                    continue  # at the edge of the ball or the box: known already
                answers = yield proposed
                if float(answers.gain[0]) > gain:
                    point, gain, moved = proposed[0], float(answers.gain[0]), True
                    break
        if not moved:
            return  # no direction helps any more
        turn += 1


def _pixels(place: Place, turn: int) -> Iterator[Tensor]:
    """Yield every value once, in a random order."""
    order = place.random(turn).uniform(place.original.numel(), dtype=torch.float64)[0].argsort()
    for number in order.tolist():
        direction = torch.zeros_like(place.original)
        direction.view(-1)[number] = 1.0
        yield direction


def _waves(place: Place, turn: int) -> Iterator[Tensor]:
    """Yield every cosine wave of every channel once, of l2 length 1, from low to high in bands."""
    channels, height, width = place.original.shape
    down, across = (cosines(side).to(place.original) for side in (height, width))
    row, column = torch.arange(height)[:, None], torch.arange(width)[None, :]
    band = torch.maximum(row * _BANDS // max(height, _BANDS), column * _BANDS // max(width, _BANDS))
    drawn = place.random(turn).uniform(channels, height, width, dtype=torch.float64)[0]
    for number in (band.to(drawn) + drawn).flatten().argsort().tolist():
        channel, place_in = divmod(number, height * width)
        direction = torch.zeros_like(place.original)
        direction[channel] = torch.outer(down[place_in // width], across[place_in % width])
        yield direction
