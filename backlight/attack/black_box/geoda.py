"""GeoDA: estimate the boundary's normal among slow waves, and go along it from the picture (Rahmati et al. 2020)."""

from __future__ import annotations

import math
from collections.abc import Generator
from functools import partial

import torch
from torch import Tensor

from backlight.attack.black_box.begin import begin, return_to_boundary
from backlight.attack.black_box.normal import steepest, sum_of_sides
from backlight.attack.black_box.queries import Answers, Place, Walk, ask
from backlight.attack.black_box.waves import slow_right_angles
from backlight.attack.challenge import Challenge
from backlight.attack.nearest import check_in_norm
from backlight.pixels import Result
from backlight.pixels.geometry import length

_EACH = 500  # queries for an estimate, on average
_GROWTH = 0.6 ** (-2 / 3)  # of the looks for an estimate from one to the next
_START, _RETURN = 50, 20  # queries that the start and the way back to the boundary take
_FEWEST = 10  # looks for an estimate
_FINE = 1e-4  # of the distance
_FARTHER, _TRIES = 1.3, 8


def geoda(
    challenge: Challenge, *, queries: int = 5000, waves: int = 10, memory: float = 0.8, after: Result | None = None
) -> Result:
    """Run GeoDA (Rahmati et al. 2020, arXiv:2003.06468), l2 or linf: it reads decisions only.

    The normal of the boundary is looked for among the lowest `waves` x `waves` cosine waves of each channel, and the
    next point is where a line from the picture along it, or along its signs in linf, crosses the boundary. An
    estimate gets 500 queries on average, each 1.4 times as many as the one before, and there is always one. What it
    saw counts in the next one too, with the weight `memory`; the published method has none. It begins as hopskipjump
    does.

    >>> from backlight.testing import small_challenge
    >>> bool((geoda(small_challenge("l2", None), queries=200).forwards <= 200).all())
    True
    """
    check_in_norm(challenge, "geoda", "l2", "linf")
    return ask(
        challenge, "geoda", partial(_walk, waves=waves, memory=memory), queries=queries, nearest=True, after=after
    )


def _walk(place: Place, *, waves: int, memory: float) -> Walk:
    point = yield from begin(place)
    if point is None:
        return
    point = yield from return_to_boundary(place, point, tolerance=_tolerance(place, point))
    channels, height, width = place.original.shape
    dimensions = channels * min(waves, height) * min(waves, width)
    counts, turn, seen, known = looks(place.queries), 0, 0, torch.zeros_like(point)
    draw = partial(slow_right_angles, side=waves)
    while True:
        far = float(length(place.span(point[None]), "l2")[0])
        count, radius = counts[min(turn, len(counts) - 1)], far / math.sqrt(dimensions)
        slope = yield from sum_of_sides(place, point, count, radius=radius, start=seen, directions=draw)
        known, seen = memory * known + slope, seen + count
        point = yield from _along(place, point, steepest(known, place.norm))
        turn += 1


def looks(queries: int) -> list[int]:
    """Divide a budget among the estimates: how many looks each one gets.

    >>> looks(2000), looks(70)
    ([261, 367, 516, 725], [10])
    """
    turns = max(round(queries / _EACH), 1)
    shares = [_GROWTH**turn for turn in range(turns)]
    total = queries - _START - turns * _RETURN
    return [max(int(total * share / sum(shares)), _FEWEST) for share in shares]


def _along(place: Place, point: Tensor, direction: Tensor) -> Generator[Tensor, Answers, Tensor]:
    """Go from the original along a direction until that fools, as far as the boundary is or a little more, and back."""
    far = float(length(place.span(point[None]), place.norm)[0])
    for number in range(_TRIES):
        answers = yield (place.original + far * _FARTHER**number * direction)[None]
        if bool(answers.fooled[0]):
            found = answers.images[0]
            return (yield from return_to_boundary(place, found, tolerance=_tolerance(place, found)))
    return point


def _tolerance(place: Place, point: Tensor) -> float:
    far = float(length(place.span(point[None]), "linf")[0]) if place.norm == "linf" else 1.0
    return _FINE * far
