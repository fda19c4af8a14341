"""Where pixels may be: boxes, balls around the originals, masks; `&` applies one after the other.

Each holds the originals, so any order of box and linf or l2 ball ends inside both, and projecting twice changes
nothing (up to rounding for l2).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from backlight.core.errors import InputError
from backlight.pixels.describe import Brief
from backlight.pixels.geometry import Epsilon, check_epsilons, check_norm, length, per_image, rows_of, take_rows


class Constraint(Brief):
    """Keep parameters `[A,...]` where they may be; subclasses say how in `project`.

    >>> class Gray(Constraint):
    ...     def project(self, params, rows, t):
    ...         return params.mean(1, keepdim=True).expand_as(params)
    >>> Gray() & Box()
    Gray() & Box(0.0, 1.0)
    """

    def project(self, params: Tensor, rows: Tensor, t: int) -> Tensor:
        """Move each image to the nearest allowed point, or near it; `rows` are their places in the batch."""
        raise NotImplementedError

    def __and__(self, other: Constraint) -> Constraint:
        return Both(self, other)


@dataclass(frozen=True, repr=False, eq=False)
class Both(Constraint):
    """Apply one constraint after the other.

    >>> Box() & Box(0.2, 0.8)
    Box(0.0, 1.0) & Box(0.2, 0.8)
    """

    first: Constraint
    second: Constraint

    def project(self, params: Tensor, rows: Tensor, t: int) -> Tensor:
        """Project on the first, then on the second."""
        return self.second.project(self.first.project(params, rows, t), rows, t)

    def __repr__(self) -> str:
        return f"{self.first} & {self.second}"


@dataclass(frozen=True, repr=False, eq=False)
class Box(Constraint):
    """Keep every value between two bounds; pictures are in [0, 1].

    >>> Box().project(torch.tensor([[-0.5, 0.5, 1.5]]), torch.tensor([0]), 0)
    tensor([[0.0000, 0.5000, 1.0000]])
    """

    low: float = 0.0
    high: float = 1.0

    def project(self, params: Tensor, rows: Tensor, t: int) -> Tensor:
        """Clamp each value."""
        return params.clamp(self.low, self.high)


def _project_linf(params: Tensor, center: Tensor, epsilon: float | Tensor) -> Tensor:
    return params.clamp(center - epsilon, center + epsilon)


def _project_l2(params: Tensor, center: Tensor, epsilon: float | Tensor) -> Tensor:
    difference = params - center
    far = per_image(length(difference, "l2"), params)
    # Where far is zero nothing is scaled; the floor only keeps 0 / 0 out of the branch not taken.
    scale = epsilon / far.clamp(min=torch.finfo(params.dtype).tiny)
    return torch.where(far <= epsilon, params, center + difference * scale)


PROJECTIONS: dict[str, Callable[[Tensor, Tensor, float | Tensor], Tensor]] = {
    "linf": _project_linf,
    "l2": _project_l2,
}
"""For each norm, (params, center, epsilon) to the point of the ball; l2 finds the nearest by scaling."""


@dataclass(frozen=True, repr=False, eq=False)
class Ball(Constraint):
    """Keep each image within `epsilon` of its original in a norm (`linf` or `l2`).

    `epsilon` is in pixel units: a number, text such as "8/255", or a tensor [B] with one per image.

    Raises UsageError for an unknown norm or an epsilon on the scale 0..255.

    >>> ball = Ball("linf", torch.full((1, 3, 2, 2), 0.5), "8/255")
    >>> ball.project(torch.ones(1, 3, 2, 2), torch.tensor([0]), 0).max() == 0.5 + 8 / 255
    tensor(True)
    """

    norm: str
    images: Tensor
    epsilon: Epsilon

    def __post_init__(self) -> None:
        check_norm(self.norm, PROJECTIONS)
        object.__setattr__(self, "epsilon", check_epsilons(self.epsilon, self.norm, len(self.images)))

    def project(self, params: Tensor, rows: Tensor, t: int) -> Tensor:
        """Move each image to the nearest point of its ball."""
        assert not isinstance(self.epsilon, str)
        epsilon = rows_of(self.epsilon, rows, params)
        return PROJECTIONS[self.norm](params, take_rows(self.images, rows), epsilon)


@dataclass(frozen=True, repr=False, eq=False)
class Mask(Constraint):
    """Let only some pixels change: outside of the mask each image stays as it was.

    `mask` is boolean, true where pixels may change, and broadcasts to the images `[B,C,H,W]`.

    Raises InputError when the mask is not boolean or does not fit.

    >>> corner = torch.tensor([[True, False], [False, False]])
    >>> Mask(corner, torch.zeros(1, 1, 2, 2)).project(torch.ones(1, 1, 2, 2), torch.tensor([0]), 0)
    tensor([[[[1., 0.],
              [0., 0.]]]])
    """

    mask: Tensor
    images: Tensor

    def __post_init__(self) -> None:
        if self.mask.dtype != torch.bool:
            raise InputError(f"a mask of {self.mask.dtype}", expected="torch.bool, true where pixels may change")
        try:
            object.__setattr__(self, "mask", self.mask.expand_as(self.images))
        except RuntimeError as error:
            raise InputError(
                f"a mask {list(self.mask.shape)} for images {list(self.images.shape)}", expected="[B,C,H,W] or [H,W]"
            ) from error

    def project(self, params: Tensor, rows: Tensor, t: int) -> Tensor:
        """Put the originals back outside of the mask."""
        return torch.where(take_rows(self.mask, rows), params, take_rows(self.images, rows))
