"""Proximal operators and projections: exact vectors, grids as oracles, gradients, and the same result in any batch."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from backlight.core.errors import InputError, UsageError
from backlight.core.random import Random
from backlight.pixels.ascent import ball
from backlight.pixels.geometry import length
from backlight.pixels.l0 import L0Ball, project_l0
from backlight.pixels.l1 import project_l1
from backlight.pixels.proximal import PROXIMAL, Proximal, prox_two_thirds

W, X = torch.tensor([3.0, -2.0, 1.0, 0.5]).double(), torch.tensor([0.2, 0.9, 0.5, 0.5]).double()
VALUES = torch.tensor([[3.0, -2.0, 1.0, 0.5]]).double()
EXACT = {
    "l0": (2.0, [3.0, 0.0, 0.0, 0.0]),
    "l1": (0.75, [2.25, -1.25, 0.25, 0.0]),
    "l2": (14.25**0.5 / 2, [1.5, -1.0, 0.5, 0.25]),
    "linf": (2.0, [1.5, -1.5, 1.0, 0.5]),
}


def penalty(norm: str, values: Tensor) -> Tensor:
    if norm == "two thirds":
        return (values.abs() ** (2 / 3)).flatten(1).sum(1)
    return length(values, norm)


def operator(norm: str) -> Proximal:
    return prox_two_thirds if norm == "two thirds" else PROXIMAL[norm]


def cost(norm: str, z: Tensor, values: Tensor, price: Tensor, weights: Tensor | float = 1.0) -> Tensor:
    return (weights * (z - values).square()).flatten(1).sum(1) / 2 + price * penalty(norm, z)


def drawn(seed: int, *shape: int, count: int = 5) -> Tensor:
    return Random(seed, torch.arange(count)).normal(*shape, dtype=torch.float64)


@pytest.mark.parametrize("norm", EXACT)
def test_vectors_worked_out_by_hand(norm: str) -> None:
    price, wanted = EXACT[norm]
    found = PROXIMAL[norm](VALUES, torch.tensor([price]).double(), None)
    assert torch.allclose(found, torch.tensor([wanted]).double(), atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([*EXACT, "two thirds"]),
    st.integers(0, 999),
    st.sampled_from([0.0, 1e-3, 0.3, 2.0, 50.0]),
    st.booleans(),
)
def test_nothing_near_or_far_costs_less(norm: str, seed: int, price: float, weighted: bool) -> None:
    values, prices = drawn(seed, 3, 2, 2), torch.full((5,), price).double()
    weights = drawn(seed + 1000, 3, 2, 2).exp() if weighted else None
    found = operator(norm)(values, prices, weights)
    costs = 1.0 if weights is None else weights
    least = cost(norm, found, values, prices, costs)
    others = [0 * values, values, values * 0.5, found * 1.01, found * 0.99]
    others += [found + scale * drawn(number, 3, 2, 2) for number in range(12) for scale in (1e-4, 1e-2, 1.0)]
    for other in others:
        assert (least <= cost(norm, other, values, prices, costs) + 1e-9).all()


def test_each_value_by_itself_is_what_a_fine_grid_finds() -> None:
    grid = torch.arange(-30000, 30001).double() / 10000
    for norm in ("l0", "l1", "two thirds"):
        for value in (-2.5, -1.48, -1.3, -0.4, 0.0, 0.7, 1.47, 1.48, 3.0):
            found = operator(norm)(torch.tensor([[value]]).double(), torch.ones(1).double(), None)
            size = {"l0": (grid != 0).double(), "l1": grid.abs(), "two thirds": grid.abs() ** (2 / 3)}[norm]
            best = grid[((grid - value).square() / 2 + size).argmin()]
            assert abs(float(found) - float(best)) < 2e-4, (norm, value)


@pytest.mark.parametrize("norm", ["l1", "l2", "linf"])
def test_what_is_taken_away_is_the_gradient_of_the_least_cost(norm: str) -> None:
    # The envelope min_z cost(z, v) has the gradient v - prox(v), whichever way prox was computed.
    prices = torch.full((3,), 0.8).double()

    def envelope(values: Tensor) -> Tensor:
        found = PROXIMAL[norm](values.detach(), prices, None)
        gap = values - found
        return gap.square().flatten(1).sum(1) / 2 + prices * penalty(norm, found)

    values = drawn(1, 6, count=3).requires_grad_()
    assert torch.autograd.gradcheck(envelope, values)
    step = 1e-6 * drawn(2, 6, count=3)
    rise = least(norm, values + step, prices) - least(norm, values - step, prices)
    gap = values - PROXIMAL[norm](values, prices, None)
    assert torch.allclose(rise, 2 * (gap * step).sum(1), rtol=1e-5, atol=1e-12)


def least(norm: str, values: Tensor, prices: Tensor) -> Tensor:
    return cost(norm, PROXIMAL[norm](values, prices, None), values, prices)


@pytest.mark.parametrize("norm", [*EXACT, "two thirds"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_row_depends_on_its_batch_mates(norm: str, dtype: torch.dtype) -> None:
    values, prices = drawn(3, 3, 4, 4).to(dtype), torch.tensor([0.0, 0.01, 0.4, 3.0, 100.0], dtype=dtype)
    for weights in (None, drawn(4, 3, 4, 4).exp().to(dtype)):
        whole = operator(norm)(values, prices, weights)
        for row in range(5):
            part = slice(row, row + 1)
            own = None if weights is None else weights[part]
            alone = operator(norm)(values[part], prices[part], own)[0]
            # Powers and cosines of a vector's last few values differ in the last bit on some processors.
            torch.testing.assert_close(alone, whole[row], rtol=8 * torch.finfo(dtype).eps, atol=0.0)


@pytest.mark.parametrize("norm", [*EXACT, "two thirds"])
def test_even_weights_change_nothing_and_uneven_ones_do(norm: str) -> None:
    values, prices = drawn(5, 3, 4, 4), torch.full((5,), 0.3).double()
    plain = operator(norm)(values, prices, None)
    assert torch.allclose(operator(norm)(values, 2 * prices, torch.full_like(values, 2.0)), plain, atol=1e-9)
    assert not torch.allclose(operator(norm)(values, prices, drawn(6, 3, 4, 4).exp()), plain)


@pytest.mark.parametrize("norm", [*EXACT, "two thirds"])
def test_a_price_of_zero_takes_nothing_and_zero_stays_zero(norm: str) -> None:
    values = drawn(4, 3, 4, 4).float()
    assert torch.allclose(operator(norm)(values, torch.zeros(5), None), values, rtol=1e-5)
    assert torch.equal(operator(norm)(0 * values, torch.ones(5), None), 0 * values)


# The box of the linear oracle: what a ball of the known smallest size around X can do against W.
def test_l1_and_l0_balls_in_the_box_hold_exactly_the_known_answers() -> None:
    far = X - 100 * W.sign() * torch.tensor([1.0, 0.1, 0.01, 0.001]).double()
    l1 = project_l1(far[None], X[None], 0.7)[0]
    assert torch.allclose((l1 - X).abs().sum(), torch.tensor(0.7).double())
    assert torch.allclose(W @ (l1 - X), torch.tensor(-0.2 * 3 - 0.1 * 2 - 0.4).double())
    l0 = project_l0(far[None], X[None], 3)[0]
    assert int((l0 != X).sum()) == 3
    assert float(l0.min()) >= 0
    assert float(l0.max()) <= 1


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 999), st.integers(0, 12), st.sampled_from([0.1, 1.0, 10.0]))
def test_the_l0_projection_is_the_nearest_of_all_choices(seed: int, count: int, scale: float) -> None:
    center = Random(seed, torch.arange(4)).uniform(3, 2, 2, dtype=torch.float64)
    point = center + scale * drawn(seed + 1, 3, 2, 2, count=4)
    found = project_l0(point, center, count)
    changed = (found != center).flatten(1).sum(1)
    assert (changed <= count).all()
    assert ((found >= 0) & (found <= 1)).all()
    near = length(found - point, "l2")
    for number in range(20):
        chosen = Random(number, torch.arange(4)).uniform(12).argsort(1)[:, :count]
        mask = torch.zeros(4, 12, dtype=torch.bool).scatter(1, chosen, True).view(4, 3, 2, 2)
        other = torch.where(mask, point.clamp(0, 1), center)
        assert (near <= length(other - point, "l2") + 1e-12).all()


def test_the_l0_ball_takes_whole_numbers_one_or_one_each() -> None:
    images = torch.rand(2, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    far = ball("l0", images, 2).project(1 - images, torch.arange(2), 0)
    assert ((far != images).flatten(1).sum(1) == 2).all()
    each = L0Ball(images, torch.tensor([1.0, 4.0])).project((1 - images)[1:], torch.tensor([1]), 0)
    assert int((each != images[1:]).sum()) == 4
    with pytest.raises(UsageError, match="how many values may change"):
        L0Ball(images, 2.5)
    with pytest.raises(InputError, match="3 epsilons for 2 images"):
        L0Ball(images, torch.ones(3))
