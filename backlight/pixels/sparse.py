"""Steps of a given l1 length."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backlight.pixels.geometry import length, per_image
from backlight.pixels.rule import Observation, Rule, State, Update


@dataclass(frozen=True, repr=False)
class Sparse(Rule):
    """Step by l1 length `size` along the signs of the largest `share` of the gradient's values.

    The steepest l1 step moves one value only; moving a small share is what works (SLIDE, Tramer and Boneh 2019,
    arXiv:1904.13000). A zero gradient moves nothing.

    >>> Sparse(1.0).share
    0.01
    """

    size: float
    share: float = 0.01
    pixels = True

    def step(self, state: State, seen: Observation) -> Update:
        """Add the step to where the loop looked."""
        return Update(seen.params + self.size * sparse_signs(seen.gradient, self.share), state)


def sparse_signs(gradient: Tensor, share: float | Tensor) -> Tensor:
    """Return the signs of the largest `share` of each gradient's values, scaled to l1 length 1: `[A,...]`.

    `share` is between 0 and 1, for all or per image `[A]`; at least one value stays, and ties stay together.

    >>> sparse_signs(torch.tensor([[0.1, -3.0, 2.0, 0.0]]), 0.5)
    tensor([[ 0.0000, -0.5000,  0.5000,  0.0000]])
    """
    sizes = gradient.flatten(1).abs()
    count = sizes.shape[1]
    shares = torch.as_tensor(share, device=gradient.device).expand(len(gradient))
    place = ((1 - shares) * count).long().clamp(0, count - 1)
    least = sizes.sort(1).values.gather(1, place[:, None])
    signs = gradient.sign() * (sizes >= least).view_as(gradient)
    return signs / per_image(length(signs, "l1").clamp(min=1.0), signs)
