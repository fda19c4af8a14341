"""The nearest point of a plane inside the box [0,1], per image, in linf, l2 and l1.

Changing pixel i by at most its room towards the plane gains |w_i| per unit. In linf and l2 every pixel moves at
its own speed (1, or |w_i|) until its room is used up; the common time solves a concave, piecewise linear equation,
which Newton's method from the left hits exactly after a few steps (no sorting). In l1 the steepest pixels move
first.
"""

from __future__ import annotations

import torch
from torch import Tensor

from backlight.pixels.geometry import dot

_NEWTON = 64  # a bound only: steps end when nothing moves any more, mostly after 4 to 10


def to_plane(images: Tensor, normal: Tensor, offset: Tensor, norm: str) -> Tensor:
    """Return the smallest change d in a norm with normal . (images + d) = offset and images + d in [0,1].

    `images` and `normal` are `[A,...]`, `offset` `[A]`. Where the plane misses the box, the corner of the box
    nearest to it is the end. Croce and Hein 2020 (arXiv:1907.02044), appendix.

    >>> to_plane(torch.tensor([[0.5, 0.1]]), torch.tensor([[1.0, 2.0]]), torch.tensor([0.4]), "l2")
    tensor([[-0.1000, -0.1000]])
    """
    gap = dot(normal, images) - offset
    towards = -normal.sign() * gap.sign().view(-1, *[1] * (images.ndim - 1))
    room = torch.where(towards > 0, 1 - images, images).flatten(1)
    slope = normal.flatten(1).abs()
    room = torch.where(slope > 0, room.clamp(min=0), 0.0)
    if norm == "l1":
        size = _fill_steepest(slope, room, gap.abs())
    else:
        speed = torch.ones_like(slope) if norm == "linf" else slope
        size = _fill_together(slope, speed, room, gap.abs())
    return towards * size.view_as(images)


def _fill_together(slope: Tensor, speed: Tensor, room: Tensor, gap: Tensor) -> Tensor:
    """Solve sum(slope * min(time * speed, room)) = gap for the time, per row; return min(time * speed, room)."""
    weight = slope * speed
    tiny = torch.finfo(slope.dtype).tiny
    time = gap / weight.sum(1).clamp(min=tiny)
    for _ in range(_NEWTON):
        moving = time[:, None] * speed < room
        reached = torch.where(moving, weight * time[:, None], slope * room).sum(1)
        rate = (weight * moving).sum(1)
        # Where nothing moves any more, all room is used; the time no longer matters.
        later = torch.where(rate > 0, time + (gap - reached).clamp(min=0) / rate.clamp(min=tiny), time)
        # A row that has arrived stays as it is, however long the others take: no batch changes another's result.
        grows = later > time * (1 + 4 * torch.finfo(time.dtype).eps)
        if not bool(grows.any()):
            break
        time = torch.where(grows, later, time)
    return torch.minimum(time[:, None] * speed, room)


def _fill_steepest(slope: Tensor, room: Tensor, gap: Tensor) -> Tensor:
    steepest, order = slope.sort(1, descending=True)
    rooms = room.gather(1, order)
    gains = steepest * rooms
    left = (gap[:, None] - (gains.cumsum(1) - gains)).clamp(min=0)
    sizes = torch.minimum(rooms, left / steepest.clamp(min=torch.finfo(slope.dtype).tiny))
    return torch.zeros_like(room).scatter(1, order, torch.where(steepest > 0, sizes, 0.0))
