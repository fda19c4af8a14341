"""HopSkipJump: walk along the boundary by the direction in which decisions change (Chen et al. 2020)."""

from __future__ import annotations

import math
from collections.abc import Generator
from functools import partial

import torch
from torch import Tensor

from backlight.attack.black_box.begin import begin, return_to_boundary
from backlight.attack.black_box.normal import steepest, sum_of_sides
from backlight.attack.black_box.queries import Answers, Place, Walk, ask
from backlight.attack.challenge import Challenge
from backlight.attack.nearest import check_in_norm
from backlight.pixels import Result
from backlight.pixels.geometry import length

_FIRST, _MOST = 100, 10_000  # directions of the first estimate, and of any
_WIDE = 0.1  # how far the first estimate looks from the boundary
_MEMORY = {"l2": 0.8, "linf": 0.9}
_HALVINGS = 20  # of a step that leads nowhere


def hop_skip_jump(
    challenge: Challenge, *, queries: int = 5000, memory: float | None = None, after: Result | None = None
) -> Result:
    """Run HopSkipJump (Chen et al. 2020, arXiv:1904.02144), l2 or linf: it reads decisions only.

    It begins at random pictures, 100 of them at most; where none fools, the image withstands. With an eps images leave
    at their first success within it, without one at the end of their queries. What an estimate of the boundary's normal
    saw counts in the next one too, with the weight `memory` (0.8 in l2, 0.9 in linf), and in each later one less; the
    published method has no memory. Nor are its directions at right angles to one another, which tells more per query.

    >>> from backlight.testing import small_challenge
    >>> bool((hop_skip_jump(small_challenge("l2", None), queries=200).forwards <= 200).all())
    True
    """
    check_in_norm(challenge, "hopskipjump", "l2", "linf")
    walk = partial(_walk, memory=_MEMORY[challenge.threat.norm] if memory is None else memory)
    return ask(challenge, "hopskipjump", walk, queries=queries, nearest=True, after=after)


def _walk(place: Place, *, memory: float) -> Walk:
    values = place.original.numel()
    theta = 1 / values**2 if place.norm == "linf" else 1 / (values * math.sqrt(values))
    reach = values * theta if place.norm == "linf" else math.sqrt(values) * theta
    point = yield from begin(place)
    if point is None:
        return
    point = yield from return_to_boundary(place, point, tolerance=_tolerance(place, point, theta))
    turn, seen, known = 1, 0, torch.zeros_like(point)
    while True:
        far = float(length(place.span(point[None]), place.norm)[0])
        count = min(int(_FIRST * math.sqrt(turn)), _MOST)
        radius = _WIDE if turn == 1 else reach * far
        slope = yield from sum_of_sides(place, point, count, radius=radius, start=seen)
        known, seen = memory * known + slope, seen + count
        direction = steepest(known, place.norm)
        straight = yield from _straight(place, direction, far)
        point = (yield from _jump(place, point, far / math.sqrt(turn) * direction)) if straight is None else straight
        point = yield from return_to_boundary(place, point, tolerance=_tolerance(place, point, theta))
        turn += 1


def _tolerance(place: Place, point: Tensor, theta: float) -> float:
    if place.norm == "l2":
        return theta
    return theta * min(float(length(place.span(point[None]), "linf")[0]), 1.0)


def _straight(place: Place, direction: Tensor, far: float) -> Generator[Tensor, Answers, Tensor | None]:
    """Go from the original along the signs as far as the boundary is, in linf: where that fools it is never farther.

    It is not in the paper; it costs one query and forgets where the walk began.
    """
    if place.norm != "linf":
        return None
    answers = yield (place.original + far * direction)[None]
    return answers.images[0] if bool(answers.fooled[0]) else None


def _jump(place: Place, point: Tensor, step: Tensor) -> Generator[Tensor, Answers, Tensor]:
    """Step away from the boundary, half as far whenever that does not fool."""
    for halving in range(_HALVINGS):
        answers = yield (point + step / 2**halving)[None]
        if bool(answers.fooled[0]):
            return answers.images[0]
    return point
