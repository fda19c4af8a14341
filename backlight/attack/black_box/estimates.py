"""NES and SPSA: estimate the gradient from pairs of looks on both sides of a point, and follow it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial

import torch
from torch import Tensor

from backlight.attack.black_box.begin import bells
from backlight.attack.black_box.queries import Answers, Place, Walk, ask
from backlight.attack.challenge import Challenge
from backlight.attack.gradient import bound_of
from backlight.attack.nearest import check_in_norm
from backlight.pixels import Result
from backlight.pixels.geometry import length, per_image

_PART = 32  # pairs that are asked about together
_STRIDE = 0.25  # of eps, a step in l2
_LEVELS = 2.55 / 255
_TINY = 1e-30

Directions = Callable[..., Tensor]
Move = Callable[[Tensor], Tensor]


def nes(
    challenge: Challenge,
    *,
    queries: int = 5000,
    samples: int = 30,
    radius: float = _LEVELS,
    step_size: float | None = None,
    after: Result | None = None,
) -> Result:
    """Follow a gradient estimated from `samples` looks at normal directions (Ilyas et al. 2018, arXiv:1804.08598).

    Directions come in pairs, `radius` times as long as normal ones; each step is `step_size` along the signs in linf,
    by default 2.55/255, or along the estimate in l2, by default a quarter of eps. It climbs the margin.

    Raises UsageError in l1, or without an eps.

    >>> from backlight.testing import small_challenge
    >>> bool((nes(small_challenge(), queries=62).forwards <= 62).all())
    True
    """
    check_in_norm(challenge, "nes", "linf", "l2")
    eps, norm = bound_of(challenge, "nes"), challenge.threat.norm
    size = (_LEVELS if norm == "linf" else _STRIDE * eps) if step_size is None else step_size
    walk = partial(_climb, directions=bells, move=lambda: _Steepest(norm, size), pairs=samples // 2, radius=radius)
    return ask(challenge, "nes", walk, queries=queries, after=after)


def spsa(
    challenge: Challenge,
    *,
    queries: int = 5000,
    samples: int = 128,
    radius: float = 0.01,
    lr: float = 0.01,
    after: Result | None = None,
) -> Result:
    """Follow by Adam a gradient estimated from `samples` looks at random signs (Uesato et al. 2018, arXiv:1802.05666).

    Directions come in pairs, `radius` up or down in every value. It climbs the margin.

    Raises UsageError in l1, or without an eps.

    >>> from backlight.testing import small_challenge
    >>> bool((spsa(small_challenge(), queries=200).forwards <= 200).all())
    True
    """
    check_in_norm(challenge, "spsa", "linf", "l2")
    bound_of(challenge, "spsa")
    walk = partial(_climb, directions=signs, move=lambda: _Adam(lr), pairs=samples // 2, radius=radius)
    return ask(challenge, "spsa", walk, queries=queries, after=after)


def _climb(place: Place, *, directions: Directions, move: Callable[[], Move], pairs: int, radius: float) -> Walk:
    point, follow, turn = place.original, move(), 0
    while True:
        slope = yield from estimate(place, point, directions, pairs=max(pairs, 1), radius=radius, turn=turn)
        point = place.project((point + follow(slope))[None])[0]
        yield point[None]
        turn += 1


def estimate(
    place: Place, point: Tensor, directions: Directions, *, pairs: int, radius: float, turn: int = 0
) -> Generator[Tensor, Answers, Tensor]:
    """Estimate the gain's gradient at a point `[C,H,W]` by differences of pairs of looks, twice `pairs` of them.

    Where the box cuts a direction off, what was looked at counts.
    """
    slope = torch.zeros_like(point)
    for part, start in enumerate(range(0, pairs, _PART)):
        drawn = radius * directions(place, min(_PART, pairs - start), turn=turn, part=part)
        answers = yield torch.cat([point + drawn, point - drawn])
        up, down = answers.images.chunk(2)
        rise = (answers.gain[: len(drawn)] - answers.gain[len(drawn) :]).to(point)
        slope = slope + (per_image(rise, drawn) * (up - down)).sum(0)
    return slope / (4 * radius**2 * pairs)


def signs(place: Place, count: int, *, turn: int, part: int = 0) -> Tensor:
    """Draw `count` directions `[n,C,H,W]` of random signs.

    >>> place = Place(torch.zeros(3, 8, 8), "l2", 1.0, torch.tensor(-1.0), 9, (0, "mine"), torch.tensor([7]))
    >>> signs(place, 50, turn=0).unique().tolist()
    [-1.0, 1.0]
    """
    words = place.random(turn).words(count, *place.original.shape, stream=("signs", part))
    return torch.where(words[0] < 0, -1.0, 1.0).to(place.original)


class _Steepest:
    """Step along the signs in linf, along the direction itself in l2."""

    def __init__(self, norm: str, size: float) -> None:
        self.norm, self.size = norm, size

    def __call__(self, slope: Tensor) -> Tensor:
        if self.norm == "linf":
            return self.size * slope.sign()
        return self.size * slope / length(slope[None], "l2").clamp(min=_TINY)


class _Adam:
    """Adam's step uphill (Kingma and Ba 2015, arXiv:1412.6980), the state of one picture."""

    def __init__(self, lr: float, decays: tuple[float, float] = (0.9, 0.999), floor: float = 1e-8) -> None:
        self.lr, self.decays, self.floor = lr, decays, floor
        self.mean = self.square = torch.zeros(())
        self.turn = 0

    def __call__(self, slope: Tensor) -> Tensor:
        first, second = self.decays
        self.turn += 1
        self.mean = first * self.mean.to(slope) + (1 - first) * slope
        self.square = second * self.square.to(slope) + (1 - second) * slope.square()
        mean, square = self.mean / (1 - first**self.turn), self.square / (1 - second**self.turn)
        return self.lr * mean / (square.sqrt() + self.floor)
