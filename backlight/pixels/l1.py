"""The l1 ball around an image, cut with the box [0,1]: the exact projection.

Projecting on the ball and clamping afterwards stays inside both, but stops short of the corners that an l1
attack needs (Croce and Hein 2021, "Mind the box", arXiv:2103.01208).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backlight.pixels.constraints import Constraint
from backlight.pixels.geometry import Epsilon, check_epsilons, rows_of


@dataclass(frozen=True, repr=False, eq=False)
class L1Ball(Constraint):
    """Keep each image within l1 distance `epsilon` of its original and inside the box [0,1].

    `epsilon` is in pixel units, summed over all values of an image; a number, text, or one per image `[B]`.

    Raises UsageError or InputError for an epsilon that cannot be used.

    >>> ball = L1Ball(torch.zeros(1, 1, 1, 3), 1.0)
    >>> ball.project(torch.tensor([[[[2.0, 0.6, 0.1]]]]), torch.tensor([0]), 0)
    tensor([[[[1., 0., 0.]]]])
    """

    images: Tensor
    epsilon: Epsilon

    def __post_init__(self) -> None:
        object.__setattr__(self, "epsilon", check_epsilons(self.epsilon, "l1", len(self.images)))

    def project(self, params: Tensor, rows: Tensor, t: int) -> Tensor:
        """Move each image to the nearest point of ball and box together."""
        assert not isinstance(self.epsilon, str)
        originals = self.images[rows]
        return project_l1(params, originals, rows_of(self.epsilon, rows, params))


def project_l1(params: Tensor, center: Tensor, epsilon: float | Tensor) -> Tensor:
    """Return the nearest point with l1 distance at most `epsilon` from `center` and values in [0,1].

    `params` and `center` are `[A,...]`, `epsilon` a number or a tensor that broadcasts to `[A,1,...]`. Every
    offset shrinks by one common amount, found among the places where an offset reaches its bound or zero.

    >>> project_l1(torch.tensor([[0.9, 0.5]]), torch.tensor([[0.5, 0.5]]), 0.1)
    tensor([[0.6000, 0.5000]])
    """
    offset = (params - center).flatten(1).double()
    middle = center.flatten(1).double()
    sizes, room = offset.abs(), torch.where(offset > 0, 1 - middle, middle)
    radius = torch.as_tensor(epsilon, dtype=torch.float64, device=params.device).reshape(-1, 1)
    kept = torch.minimum(sizes, room)
    inside = kept.sum(1, keepdim=True) <= radius
    amount = torch.where(inside, 0.0, _common_shrink(sizes, room, radius))
    offset = offset.sign() * torch.minimum((sizes - amount).clamp(min=0), room)
    projected = (middle + offset).to(params.dtype).view_as(params)
    unmoved = inside & (params.flatten(1) >= 0).all(1, keepdim=True) & (params.flatten(1) <= 1).all(1, keepdim=True)
    return torch.where(unmoved.view(-1, *[1] * (params.ndim - 1)), params, projected.clamp(0, 1))


def _common_shrink(sizes: Tensor, room: Tensor, radius: Tensor) -> Tensor:
    """Solve sum(min(max(sizes - amount, 0), room)) = radius for amount `[A,1]`, where amount 0 gives too much.

    The sum falls with slope (offsets below their bound, above zero): one offset joins at sizes - room and
    leaves at sizes, so between sorted joins and leaves it is a line.
    """
    joins = (sizes - room).clamp(min=0)
    places, order = torch.cat([joins, sizes], 1).sort(1)
    change = torch.cat([torch.full_like(joins, -1.0), torch.ones_like(sizes)], 1).gather(1, order)
    slopes = change.cumsum(1)
    gaps = torch.diff(places, dim=1, prepend=torch.zeros_like(places[:, :1]))
    before = torch.cat([torch.zeros_like(slopes[:, :1]), slopes[:, :-1]], 1)
    total = torch.minimum(sizes, room).sum(1, keepdim=True)
    sums = total + (before * gaps).cumsum(1)
    # The first place whose sum is small enough; the answer lies on the line that ends there.
    end = (sums > radius).sum(1, keepdim=True).clamp(max=places.shape[1] - 1)
    slope = before.gather(1, end).clamp(max=-1.0)
    return (places.gather(1, end) + (radius - sums.gather(1, end)) / slope).clamp(min=0)
