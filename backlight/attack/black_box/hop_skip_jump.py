"""HopSkipJump: walk along the boundary by the direction in which decisions change (Chen et al. 2020)."""

from __future__ import annotations

import math
from collections.abc import Generator
from functools import partial

import torch
from torch import Tensor

from backlight.attack.black_box.begin import begin, bells, return_to_boundary
from backlight.attack.black_box.queries import Answers, Place, Walk, ask
from backlight.attack.challenge import Challenge
from backlight.attack.nearest import check_in_norm
from backlight.pixels import Result
from backlight.pixels.geometry import length, per_image

_FIRST, _MOST = 100, 10_000  # directions of the first estimate, and of any
_WIDE = 0.1  # how far the first estimate looks from the boundary
_PART = 64  # directions that are asked about together
_RESERVE = 30  # queries for a jump and the way back to the boundary
_MEMORY = {"l2": 0.8, "linf": 0.9}
_TINY = 1e-30
_HALVINGS = 20  # of a step that leads nowhere


def hop_skip_jump(
    challenge: Challenge, *, queries: int = 5000, memory: float | None = None, after: Result | None = None
) -> Result:
    """Run HopSkipJump (Chen et al. 2020, arXiv:1904.02144), l2 or linf: it reads decisions only.

    It begins at random pictures, 100 of them at most; where none fools, the image withstands. With an eps images leave
    at their first success within it, without one at the end of their queries. What an estimate of the boundary's normal
    saw counts in the next one too, with the weight `memory` (0.8 in l2, 0.9 in linf), and in each later one less; 0 is
    the published method.

    >>> from torch import nn
    >>> from backlight import Classifier
    >>> from backlight.attack.threat import ThreatModel
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    >>> classifier = Classifier.from_module(net, size=2)
    >>> challenge = Challenge.of(classifier, torch.rand(4, 3, 2, 2), threat=ThreatModel("l2", None))
    >>> bool((hop_skip_jump(challenge, queries=200).forwards <= 200).all())
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
    turn, known = 1, torch.zeros_like(point)
    while True:
        far = float(length(place.span(point[None]), place.norm)[0])
        count = min(int(_FIRST * math.sqrt(turn)), _MOST)
        slope = yield from _estimate(place, point, count, _WIDE if turn == 1 else reach * far, turn)
        known = memory * known + slope
        direction = _direction(known, place.norm)
        straight = yield from _straight(place, direction, far)
        point = (yield from _jump(place, point, far / math.sqrt(turn) * direction)) if straight is None else straight
        point = yield from return_to_boundary(place, point, tolerance=_tolerance(place, point, theta))
        turn += 1


def _direction(slope: Tensor, norm: str) -> Tensor:
    return slope.sign() if norm == "linf" else slope / length(slope[None], "l2").clamp(min=_TINY)


def _tolerance(place: Place, point: Tensor, theta: float) -> float:
    if place.norm == "l2":
        return theta
    return theta * min(float(length(place.span(point[None]), "linf")[0]), 1.0)


def _estimate(place: Place, point: Tensor, count: int, radius: float, turn: int) -> Generator[Tensor, Answers, Tensor]:
    """Sum up to `count` directions by whether they fool: the boundary's normal, the longer the more was seen.

    The last of all estimates takes what the budget leaves, but for what the jump after it needs.
    """
    signed, plain, balance, seen = torch.zeros_like(point), torch.zeros_like(point), 0.0, 0
    for part, size in enumerate(_parts(count)):
        directions = bells(place, size, turn=turn, part=part)
        directions = directions / per_image(length(directions, "l2"), directions)
        answers = yield point + radius * directions
        # Where the box cut a direction off, what was looked at counts.
        directions = (answers.images - point) / radius
        signs = torch.where(answers.fooled, 1.0, -1.0).to(point)
        signed, plain = signed + (per_image(signs, directions) * directions).sum(0), plain + directions.sum(0)
        balance, seen = balance + float(signs.sum()), seen + size
        if answers.left < _PART + _RESERVE:
            break
    return signed if abs(balance) == seen else signed - balance / seen * plain


def _parts(count: int) -> list[int]:
    return [_PART] * (count // _PART) + [count % _PART] * (count % _PART > 0)


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
