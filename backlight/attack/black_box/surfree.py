"""SurFree: turn around the picture towards one random wave at a time, without a gradient (Maho et al. 2021)."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from functools import lru_cache, partial

import torch
from torch import Tensor

from backlight.attack.black_box.begin import begin, return_to_boundary
from backlight.attack.black_box.queries import Answers, Place, Walk, ask
from backlight.attack.black_box.waves import sum_of_waves
from backlight.attack.challenge import Challenge
from backlight.attack.nearest import check_in_norm
from backlight.core.errors import UsageError
from backlight.pixels import Result
from backlight.pixels.geometry import dot, length

_FINE = 1e-4  # of the line to the first picture that fools
_WIDEST, _NARROWEST = math.radians(30), 1e-4
_SHRINKS = 0.95  # the first angle tried, where a direction failed
_HALVINGS = 7
_SHORT = 1e-6


def surfree(challenge: Challenge, *, queries: int = 5000, share: float = 0.5, after: Result | None = None) -> Result:
    """Run SurFree (Maho et al. 2021, arXiv:2011.12807), l2: it reads decisions only and estimates no gradient.

    From a point of the boundary it turns around the middle between that and the picture, towards a direction or away
    from it, by the widest angle that fools; a direction costs two queries where none does. Directions are random signs
    of the lowest cosine waves, of the `share` of all at first, and once these are used up of the higher ones. They are
    at right angles to one another by construction, where the paper keeps the last 100 in memory and takes what is left
    of a random one. It begins as hopskipjump does, and ends early where no angle is left that fools.

    Raises UsageError for a share that is not above 0 and at most 1.

    >>> from backlight.testing import small_challenge
    >>> bool((surfree(small_challenge("l2", None), queries=200).forwards <= 200).all())
    True
    """
    check_in_norm(challenge, "surfree", "l2")
    if not 0 < share <= 1:
        raise UsageError(f"surfree:share={share}", expected="above 0, at most 1")
    return ask(challenge, "surfree", partial(_walk, share=share), queries=queries, nearest=True, after=after)


def _walk(place: Place, *, share: float) -> Walk:
    point = yield from begin(place)
    if point is None:
        return
    point = yield from return_to_boundary(place, point, tolerance=_FINE)
    angle = _WIDEST
    for direction in directions(place, share):
        nearer = yield from turn_towards(place, point, direction, angle)
        if nearer is None:
            angle *= _SHRINKS
        else:
            point, angle = nearer, min(angle / _SHRINKS, _WIDEST)
        if angle < _NARROWEST:
            return


def turn_towards(
    place: Place, point: Tensor, direction: Tensor, angle: float
) -> Generator[Tensor, Answers, Tensor | None]:
    """Turn towards a direction or away from it as far as that fools; None where an angle fools neither way."""
    change = point - place.original
    far = float(length(change[None], "l2")[0])
    out = change / max(far, _SHORT)
    across = direction - dot(direction[None], out[None]) * out
    left = float(length(across[None], "l2")[0])
    if min(far, left) < _SHORT:
        return None
    across = across / left

    def at(angle: float) -> Tensor:
        turned = math.cos(angle) * out + math.sin(angle) * across
        return (place.original + far * math.cos(angle) * turned)[None]

    for sign in (1.0, -1.0):
        answers = yield at(sign * angle)
        if bool(answers.fooled[0]):
            break
    else:
        return None
    return (yield from _widest(at, sign, angle, answers.images[0]))


def _widest(
    at: Callable[[float], Tensor], sign: float, angle: float, found: Tensor
) -> Generator[Tensor, Answers, Tensor]:
    """Double an angle that fools until it does not, then halve in between: the picture at the widest that does."""
    low, high, kept = angle, math.pi / 2, found
    while 2 * low < math.pi / 2:
        answers = yield at(sign * 2 * low)
        if not bool(answers.fooled[0]):
            high = 2 * low
            break
        low, kept = 2 * low, answers.images[0]
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        answers = yield at(sign * middle)
        if bool(answers.fooled[0]):
            low, kept = middle, answers.images[0]
        else:
            high = middle
    return kept


def directions(place: Place, share: float) -> Iterator[Tensor]:
    """Yield directions `[C,H,W]` of l2 length 1 without end: sums of cosine waves with random signs, slow ones first.

    Those of one round, as many as the picture has values, are at right angles to one another: rows of Hadamard
    matrices, whose columns have random signs.

    >>> place = Place(torch.zeros(3, 4, 4), "l2", 1.0, torch.tensor(-1.0), 9, (0, "mine"), torch.tensor([7]))
    >>> some = torch.stack([one.flatten() for one, _ in zip(directions(place, 0.5), range(48))])
    >>> bool(((some @ some.T) - torch.eye(48)).abs().max() < 1e-5)
    True
    """
    original = place.original
    order = _slow_first(*original.shape).to(original.device)
    turn = 0
    while True:
        for start, size in bands(original.numel(), share):
            signs = place.random(turn).sign(size, stream=("surfree", start), dtype=original.dtype)[0]
            for number in range(size):
                weights = torch.zeros_like(original).flatten()
                weights[order[start : start + size]] = signs * hadamard(number, size).to(original) / math.sqrt(size)
                yield sum_of_waves(weights.view_as(original), original)
        turn += 1


def bands(count: int, share: float) -> list[tuple[int, int]]:
    """Cut `count` waves into bands, (start, size): powers of two, at first within `share` of all, then growing.

    >>> bands(192, 0.5)
    [(0, 64), (64, 64), (128, 64)]
    """
    found, start, most = [], 0, max(int(share * count), 1)
    while start < count:
        size = 2 ** (min(most, count - start).bit_length() - 1)
        found.append((start, size))
        start += size
        most = start
    return found


def hadamard(row: int, size: int) -> Tensor:
    """Return a row of the Hadamard matrix of a power of two: signs `[size]`, at right angles to all other rows.

    >>> hadamard(3, 4)
    tensor([ 1., -1., -1.,  1.])
    """
    bits = torch.arange(size) & row
    for shift in (32, 16, 8, 4, 2, 1):
        bits = bits ^ (bits >> shift)
    return 1.0 - 2.0 * (bits & 1)


@lru_cache(maxsize=8)
def _slow_first(channels: int, height: int, width: int) -> Tensor:
    """Order the places of waves `[C,H,W]` from low frequencies to high ones, all channels of each together."""
    row, column = torch.arange(height)[:, None] / height, torch.arange(width)[None, :] / width
    slow = (row + column).flatten().argsort(stable=True)
    return (slow[:, None] + torch.arange(channels) * (height * width)).flatten()
