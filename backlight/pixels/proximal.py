"""Proximal operators of the norms: what is left of a change once its norm has a price.

For a change v and a price p each returns the z with the smallest ||z - v||^2 / 2 + p * norm(z), the answer to
"how much of v is worth its size" (Parikh and Boyd 2014, "Proximal algorithms"). `values` are `[A,...]`, the prices
`[A]`, one per image, 0 or more.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from backlight.pixels.geometry import length, per_image

_NEWTON = 64  # a bound only: steps end when nothing moves any more, mostly after 4 to 10

Proximal = Callable[[Tensor, Tensor], Tensor]
"""A function of values `[A,...]` and prices `[A]`."""


def prox_l0(values: Tensor, prices: Tensor) -> Tensor:
    """Keep values above sqrt(2 price) as they are and drop the others: the hard threshold.

    >>> prox_l0(torch.tensor([[3.0, -1.0, 0.5]]), torch.tensor([0.5]))
    tensor([[3., 0., 0.]])
    """
    return torch.where(values.abs() > per_image((2 * prices).sqrt(), values), values, 0.0)


def prox_l1(values: Tensor, prices: Tensor) -> Tensor:
    """Shorten every value by the price, to zero at most: the soft threshold.

    >>> prox_l1(torch.tensor([[3.0, -1.0, 0.25]]), torch.tensor([0.5]))
    tensor([[ 2.5000, -0.5000,  0.0000]])
    """
    price = per_image(prices, values)
    return values - values.clamp(-price, price)


def prox_l2(values: Tensor, prices: Tensor) -> Tensor:
    """Shorten the whole change by the price, to zero at most.

    >>> prox_l2(torch.tensor([[3.0, 4.0]]), torch.tensor([2.5]))
    tensor([[1.5000, 2.0000]])
    """
    far = length(values, "l2")
    kept = 1 - prices / far.clamp(min=torch.finfo(values.dtype).tiny)
    return values * per_image(kept.clamp(min=0), values)


def prox_linf(values: Tensor, prices: Tensor) -> Tensor:
    """Cut all values at the height where what is cut off adds up to the price.

    What is cut off is the projection on the l1 ball of that size (Moreau's identity).

    >>> prox_linf(torch.tensor([[3.0, -2.0, 0.5]]), torch.tensor([2.0]))
    tensor([[ 1.5000, -1.5000,  0.5000]])
    """
    height = per_image(_cut(values.flatten(1).abs(), prices), values)
    return values.clamp(-height, height)


def prox_two_thirds(values: Tensor, prices: Tensor) -> Tensor:
    """Shrink values as the sum of their powers of 2/3 asks: between l0 and l1, large ones stay nearly whole.

    The larger root of a quartic (Cao, Sun and Xu 2013, "Fast image deconvolution using closed-form thresholding
    formulas of Lq (q = 1/2, 2/3) regularization"); where it has none the value is dropped.

    >>> prox_two_thirds(torch.tensor([[3.0, -1.0, 0.5]]), torch.tensor([0.5]))
    tensor([[ 2.7624, -0.6061,  0.0000]])
    """
    sizes, price = values.abs(), per_image(prices, values)
    cubed, half, tiny = 8 * price**3 / 729, sizes**2 / 16, torch.finfo(values.dtype).tiny
    under = half.square() - cubed
    larger = half + under.clamp(min=0).sqrt()
    # half minus the root, without taking two nearly equal numbers from one another.
    smaller = cubed / larger.clamp(min=tiny)
    width = 2 * (larger ** (1 / 3) + smaller ** (1 / 3))
    edge = width.sqrt().clamp(min=tiny)
    shrunk = (edge + (2 * sizes / edge - width).clamp(min=0).sqrt()) ** 3 / 8
    # Below this size dropping the value costs less than the best of what is left of it.
    least = 2 / 3 * (3 * (2 * price) ** 3) ** 0.25
    return torch.where((under >= 0) & (sizes > least), values.sign() * shrunk, 0.0)


PROXIMAL: dict[str, Proximal] = {"l0": prox_l0, "l1": prox_l1, "l2": prox_l2, "linf": prox_linf}
"""The exact proximal operator of each norm by its name."""


def _cut(sizes: Tensor, prices: Tensor) -> Tensor:
    """Solve sum(max(size - height, 0)) = price for the height `[A]`, 0 where all sizes `[A,N]` add up to less.

    The sum is convex and falls, so Newton's method from below never oversteps; no sorting.
    """
    lowest = (sizes.sum(1) - prices) / sizes.shape[1]
    height = torch.maximum(lowest, sizes.amax(1) - prices).clamp(min=0)
    for _ in range(_NEWTON):
        above = (sizes - height[:, None]).clamp(min=0)
        count = (above > 0).sum(1).clamp(min=1)
        higher = height + (above.sum(1) - prices).clamp(min=0) / count
        # A row that has arrived stays as it is, however long the others take: no batch changes another's result.
        grows = higher > height * (1 + 4 * torch.finfo(height.dtype).eps)
        if not bool(grows.any()):
            break
        height = torch.where(grows, higher, height)
    return height
