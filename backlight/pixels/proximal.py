"""Proximal operators of the norms: what is left of a change once its norm has a price.

For a change v and a price p each returns the z with the smallest sum of w (z - v)^2 / 2 plus p times its norm, the
answer to "how much of v is worth its size" (Parikh and Boyd 2014, "Proximal algorithms"). `values` are `[A,...]`, the
prices `[A]`, one per image, 0 or more; `weights` `[A,...]` above 0 say what each value's move costs, 1 where None.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from backlight.pixels.geometry import length, per_image

_NEWTON = 64  # a bound only: steps end when nothing moves any more, mostly after 4 to 10

Proximal = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""A function of values `[A,...]`, prices `[A]`, and weights `[A,...]` or None."""


def prox_l0(values: Tensor, prices: Tensor, weights: Tensor | None = None) -> Tensor:
    """Keep values above sqrt(2 price) as they are and drop the others: the hard threshold.

    >>> prox_l0(torch.tensor([[3.0, -1.0, 0.5]]), torch.tensor([0.5]))
    tensor([[3., 0., 0.]])
    """
    return torch.where(values.abs() > (2 * _each(values, prices, weights)).sqrt(), values, 0.0)


def prox_l1(values: Tensor, prices: Tensor, weights: Tensor | None = None) -> Tensor:
    """Shorten every value by the price, to zero at most: the soft threshold.

    >>> prox_l1(torch.tensor([[3.0, -1.0, 0.25]]), torch.tensor([0.5]))
    tensor([[ 2.5000, -0.5000,  0.0000]])
    """
    price = _each(values, prices, weights)
    return values - torch.minimum(torch.maximum(values, -price), price)


def prox_l2(values: Tensor, prices: Tensor, weights: Tensor | None = None) -> Tensor:
    """Shorten the whole change by the price, to zero at most.

    With weights, each value moves the farther the less its move costs.

    >>> prox_l2(torch.tensor([[3.0, 4.0]]), torch.tensor([2.5]))
    tensor([[1.5000, 2.0000]])
    """
    if weights is None:
        far = length(values, "l2")
        kept = 1 - prices / far.clamp(min=torch.finfo(values.dtype).tiny)
        return values * per_image(kept.clamp(min=0), values)
    pull = weights * values
    size = per_image(_size(pull.flatten(1), weights.flatten(1), length(values, "l2"), prices), values)
    below = (weights * size + per_image(prices, values)).clamp(min=torch.finfo(values.dtype).tiny)
    return pull * (size / below)


def prox_linf(values: Tensor, prices: Tensor, weights: Tensor | None = None) -> Tensor:
    """Cut all values at the height where what is cut off adds up to the price.

    What is cut off is the projection on the l1 ball of that size (Moreau's identity).

    >>> prox_linf(torch.tensor([[3.0, -2.0, 0.5]]), torch.tensor([2.0]))
    tensor([[ 1.5000, -1.5000,  0.5000]])
    """
    sizes = values.flatten(1).abs()
    weight = torch.ones_like(sizes) if weights is None else weights.flatten(1)
    height = per_image(_height(sizes, weight, prices), values)
    return values.clamp(-height, height)


def prox_two_thirds(values: Tensor, prices: Tensor, weights: Tensor | None = None) -> Tensor:
    """Shrink values as the sum of their powers of 2/3 asks: between l0 and l1, large ones stay nearly whole.

    The larger root of a quartic (Cao, Sun and Xu 2013, "Fast image deconvolution using closed-form thresholding
    formulas of Lq (q = 1/2, 2/3) regularization"); where it has none the value is dropped.

    >>> prox_two_thirds(torch.tensor([[3.0, -1.0, 0.5]]), torch.tensor([0.5]))
    tensor([[ 2.7624, -0.6061,  0.0000]])
    """
    sizes, price = values.abs(), _each(values, prices, weights)
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


def _each(values: Tensor, prices: Tensor, weights: Tensor | None) -> Tensor:
    price = per_image(prices, values)
    return price.expand_as(values) if weights is None else price / weights


def _height(sizes: Tensor, weights: Tensor, prices: Tensor) -> Tensor:
    """Solve sum(weight * max(size - height, 0)) = price for the height `[A]`, 0 where the sum is always less.

    The sum is convex and falls, so Newton's method from below never oversteps; no sorting.
    """
    even = ((weights * sizes).sum(1) - prices) / weights.sum(1)
    alone = (sizes - prices[:, None] / weights).amax(1)

    def higher(height: Tensor) -> Tensor:
        above = sizes > height[:, None]
        slope = torch.where(above, weights, 0.0)
        gap = (slope * sizes).sum(1) - slope.sum(1) * height - prices
        return height + gap.clamp(min=0) / slope.sum(1).clamp(min=torch.finfo(height.dtype).tiny)

    return _climb(torch.maximum(even, alone).clamp(min=0), higher)


def _size(pull: Tensor, weights: Tensor, far: Tensor, prices: Tensor) -> Tensor:
    """Solve ||pull / (weight * size + price)|| = 1 for the size `[A]`, 0 where the left is always less.

    One over the left side is concave and grows, so Newton's method from below never oversteps (as in trust regions).
    """
    tiny = torch.finfo(far.dtype).tiny

    def larger(size: Tensor) -> Tensor:
        below = (weights * size[:, None] + prices[:, None]).clamp(min=tiny)
        part = (pull / below).square()
        total = part.sum(1).clamp(min=tiny)
        slope = (part * weights / below).sum(1)
        return size + (total * (total.sqrt() - 1)).clamp(min=0) / slope.clamp(min=tiny)

    start = (far - prices / weights.amin(1)).clamp(min=0)
    return _climb(start, larger)


def _climb(start: Tensor, step: Callable[[Tensor], Tensor]) -> Tensor:
    """Step upwards until nothing moves any more."""
    found, waiting = start, torch.ones_like(start, dtype=torch.bool)
    for _ in range(_NEWTON):
        farther = step(found)
        # A row that has arrived stays as it is, however long the others take: no batch changes another's result.
        waiting = waiting & (farther > found * (1 + 4 * torch.finfo(found.dtype).eps))
        if not bool(waiting.any()):
            break
        found = torch.where(waiting, farther, found)
    return found
