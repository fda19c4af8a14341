"""The l0 ball around an image, cut with the box [0,1]: at most so many changed values."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backlight.pixels.constraints import Constraint
from backlight.pixels.geometry import Epsilon, check_epsilons, rows_of, take_rows


@dataclass(frozen=True, repr=False, eq=False)
class L0Ball(Constraint):
    """Keep all but `epsilon` values of each image as in the original, and the others inside the box [0,1].

    `epsilon` counts values, not pixels: a whole number, text, or one per image `[B]`.

    Raises UsageError or InputError for an epsilon that cannot be used.

    >>> ball = L0Ball(torch.zeros(1, 1, 1, 3), 1)
    >>> ball.project(torch.tensor([[[[3.0, 0.9, 0.1]]]]), torch.tensor([0]), 0)
    tensor([[[[1., 0., 0.]]]])
    """

    images: Tensor
    epsilon: Epsilon

    def __post_init__(self) -> None:
        object.__setattr__(self, "epsilon", check_epsilons(self.epsilon, "l0", len(self.images)))

    def project(self, params: Tensor, rows: Tensor, t: int) -> Tensor:
        """Move each image to the nearest point of ball and box together."""
        assert not isinstance(self.epsilon, str)
        return project_l0(params, take_rows(self.images, rows), rows_of(self.epsilon, rows, params))


def project_l0(params: Tensor, center: Tensor, epsilon: float | Tensor) -> Tensor:
    """Return the nearest point in [0,1] that differs from `center` in at most `epsilon` values.

    `params` and `center` are `[A,...]`, `epsilon` a number or a tensor that broadcasts to `[A,1,...]`. Those values
    change whose change brings the point nearest, inside the box; of equal ones the first.

    >>> project_l0(torch.tensor([[0.9, 0.4]]), torch.tensor([[0.5, 0.5]]), 1)
    tensor([[0.9000, 0.5000]])
    """
    inside = params.clamp(0, 1)
    gains = ((params - center).square() - (params - inside).square()).flatten(1)
    order = gains.sort(dim=1, descending=True, stable=True).indices
    ranks = torch.arange(gains.shape[1], device=params.device).expand_as(order)
    allowed = torch.as_tensor(epsilon, device=params.device).reshape(-1, 1)
    kept = torch.zeros_like(gains, dtype=torch.bool).scatter(1, order, ranks < allowed)
    return torch.where(kept.view_as(params), inside, center)
