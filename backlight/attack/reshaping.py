"""Attacks that bend or recolor a picture instead of adding noise to it: StAdv and ReColorAdv."""

from __future__ import annotations

from backlight.attack.challenge import Challenge
from backlight.attack.gradient import bound_of
from backlight.attack.nearest import check_in_norm
from backlight.attack.objectives import Objective, objective_of
from backlight.pixels import Adam, Result
from backlight.pixels.bounded import Bounded, roughness
from backlight.pixels.color_map import ColorMap
from backlight.pixels.flow import Flow

_SPREAD = 0.1  # of parameters at the start: where nothing is bent, a flow's slope is that of one side only


def stadv(
    challenge: Challenge,
    *,
    steps: int = 50,
    lr: float = 0.1,
    smoothness: float = 0.5,
    objective: Objective = "margin",
    restarts: int = 1,
    after: Result | None = None,
) -> Result:
    """Bend pictures by a smooth flow (Xiao et al. 2018, arXiv:1801.02612; bound as Laidlaw et al. 2021).

    The bound is a `flow`: how far pixels move, across and down, where the picture's width is 2. It holds by
    construction, since flows are a tanh times the bound. `smoothness` weighs the mean difference of neighbors, in
    shares of the bound, against the objective. Adam takes `steps` of rate `lr`.

    Raises UsageError in another measure than flow, or without an eps.

    >>> from backlight.testing import small_challenge
    >>> stadv(small_challenge("flow", 0.5), steps=5).images.shape
    torch.Size([4, 3, 2, 2])
    """
    check_in_norm(challenge, "stadv", "flow")
    bound, threat = bound_of(challenge, "stadv"), challenge.threat
    moved = Flow(challenge.images, bound, threat.lattice, threat.mask_of(challenge.images), _SPREAD)
    return _climb(challenge, moved, "stadv", steps, lr, smoothness, objective, restarts, after)


def recolor(
    challenge: Challenge,
    *,
    steps: int = 50,
    lr: float = 0.1,
    smoothness: float = 0.5,
    points: int = 16,
    objective: Objective = "margin",
    restarts: int = 1,
    after: Result | None = None,
) -> Result:
    """Give every color of a picture another one nearby (ReColorAdv, Laidlaw and Feizi 2019, arXiv:1906.00001).

    The bound is a `color`: how far any color moves in any channel of RGB, black to white being 1. It holds by
    construction. The map has `points` per channel; `smoothness` weighs the mean difference of neighboring points, in
    shares of the bound, against the objective. Adam takes `steps` of rate `lr`.

    Raises UsageError in another measure than color, or without an eps, InputError for more than 3 channels.

    >>> from backlight.testing import small_challenge
    >>> recolor(small_challenge("color", 0.1), steps=5).images.shape
    torch.Size([4, 3, 2, 2])
    """
    check_in_norm(challenge, "recolor", "color")
    bound, threat = bound_of(challenge, "recolor"), challenge.threat
    mask = threat.mask_of(challenge.images)
    moved = ColorMap(challenge.images, bound, threat.lattice, mask, _SPREAD, points)
    return _climb(challenge, moved, "recolor", steps, lr, smoothness, objective, restarts, after)


def _climb(
    challenge: Challenge,
    moved: Bounded,
    name: str,
    steps: int,
    lr: float,
    smoothness: float,
    objective: Objective,
    restarts: int,
    after: Result | None,
) -> Result:
    climbed = objective_of(challenge, objective) - smoothness * roughness(moved)
    for restart in range(restarts):
        after = challenge.climb(climbed, Adam(lr), steps=steps, stream=(name, restart), moved=moved, after=after)
    return challenge.begin() if after is None else after
