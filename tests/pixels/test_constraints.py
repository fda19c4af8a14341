import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from backlight.core.errors import InputError, UsageError
from backlight.core.random import Random
from backlight.pixels import Ball, Box, Constraint, Mask
from backlight.pixels.geometry import length
from tests.pixels.problems import pictures

X = pictures(6, torch.float64)
ROWS = torch.arange(6)
MASK = Random("mask", ROWS).uniform(1, 8, 8) < 0.5


def far(seed: int, scale: float, dtype: torch.dtype = torch.float64) -> Tensor:
    return X.to(dtype) + scale * Random(seed, ROWS).normal(3, 8, 8, dtype=dtype)


def kinds(dtype: torch.dtype = torch.float64) -> dict[str, Constraint]:
    x, epsilons = X.to(dtype), torch.linspace(0, 1.5, 6, dtype=dtype)
    return {
        "box": Box(),
        "linf": Ball("linf", x, "8/255"),
        "linf each": Ball("linf", x, epsilons / 5),
        "l2": Ball("l2", x, 0.5),
        "l2 each": Ball("l2", x, epsilons),
        "mask": Mask(MASK, x),
        "ball in box": Ball("l2", x, 0.5) & Box(),
        "box in ball": Box() & Ball("linf", x, 0.1),
        "all": Box() & Ball("l2", x, epsilons) & Mask(MASK, x),
    }


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(kinds())), st.integers(0, 99), st.sampled_from([1e-3, 0.1, 10.0]))
def test_projecting_twice_changes_nothing(name: str, seed: int, scale: float) -> None:
    constraint = kinds()[name]
    once = constraint.project(far(seed, scale), ROWS, 0)
    assert torch.allclose(constraint.project(once, ROWS, 0), once, rtol=0, atol=1e-14)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 99),
    st.sampled_from([1e-3, 0.1, 10.0]),
    st.booleans(),
    st.sampled_from([torch.float32, torch.float64]),
)
def test_any_order_ends_inside_all(seed: int, scale: float, box_first: bool, dtype: torch.dtype) -> None:
    x, epsilons = X.to(dtype), torch.linspace(0, 1.5, 6, dtype=dtype)
    ball, mask = Ball("l2", x, epsilons), Mask(MASK, x)
    constraint = Box() & ball & mask if box_first else mask & ball & Box()
    point = constraint.project(far(seed, scale, dtype), ROWS, 0)
    slack = 8 * torch.finfo(dtype).eps
    assert point.min() >= 0
    assert point.max() <= 1
    assert (length(point - x, "l2") <= epsilons * (1 + slack) + slack).all()
    assert torch.equal(torch.where(MASK, 0.0, point - x), torch.zeros_like(x))


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_points_inside_stay_bit_for_bit(norm: str) -> None:
    inside = X + 1e-3 * (X - 0.5)
    assert torch.equal(Ball(norm, X, 2.0 if norm == "l2" else 0.5).project(inside, ROWS, 0), inside)


def test_the_projection_is_the_nearest_point_of_the_ball() -> None:
    outside = far(3, 1.0)
    for norm, epsilon in (("l2", 0.7), ("linf", 0.03)):
        nearest = Ball(norm, X, epsilon).project(outside, ROWS, 0)
        best = length(outside - nearest, "l2")
        for seed in range(50):
            offset = Random(seed, ROWS).normal(3, 8, 8, dtype=torch.float64)
            offset = offset * (epsilon / length(offset, norm))[:, None, None, None]
            for other in (X + offset, nearest + 0.01 * offset):
                other = Ball(norm, X, epsilon).project(other, ROWS, 0)
                assert (length(outside - other, "l2") >= best - 1e-12).all()


def test_l2_scaling_is_written_out() -> None:
    ball = Ball("l2", torch.zeros(1, 1, 1, 2), 1.0)
    assert torch.allclose(ball.project(torch.tensor([[[[3.0, 4.0]]]]), torch.tensor([0]), 0), torch.tensor([0.6, 0.8]))


def test_a_ball_of_size_zero_is_its_center() -> None:
    for norm in ("linf", "l2"):
        assert torch.equal(Ball(norm, X, 0).project(far(0, 1), ROWS, 0), X)


def test_epsilon_follows_its_image() -> None:
    epsilons = torch.linspace(0.01, 0.3, 6, dtype=torch.float64)
    whole = Ball("linf", X, epsilons).project(far(1, 1), ROWS, 0)
    some = torch.tensor([5, 0, 3])
    assert torch.equal(Ball("linf", X, epsilons).project(far(1, 1)[some], some, 0), whole[some])


def test_a_mask_may_have_any_shape_that_fits() -> None:
    one = torch.zeros(8, 8, dtype=torch.bool)
    one[2, 3] = True
    moved = Mask(one, X).project(X + 1, ROWS, 0)
    assert torch.equal(moved, X + one.double())


@pytest.mark.parametrize(
    ("norm", "epsilon", "error"),
    [
        ("linf", 8, UsageError),
        ("linf", "8", UsageError),
        ("linf", -0.1, UsageError),
        ("linf", math.nan, UsageError),
        ("l3", 0.1, UsageError),
        ("linf", torch.tensor([0.1, 0.2]), InputError),
        ("linf", torch.tensor([1, 2]), InputError),
        ("l2", torch.full((6,), -1.0), InputError),
        ("l2", torch.full((6,), torch.nan), InputError),
    ],
)
def test_unusable_balls_raise(norm: str, epsilon: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        Ball(norm, X, epsilon)  # type: ignore[arg-type]


def test_unusable_masks_raise() -> None:
    with pytest.raises(InputError, match="mask of torch.float32"):
        Mask(torch.ones(8, 8), X)
    with pytest.raises(InputError, match=r"mask \[7, 7\]"):
        Mask(torch.ones(7, 7).bool(), X)


def test_constraints_print_as_they_are_written() -> None:
    ball = Ball("linf", X, "8/255")
    assert repr(ball & Box()) == f"Ball('linf', tensor[6, 3, 8, 8], {8 / 255}) & Box(0.0, 1.0)"


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_a_linf_ball_ends_at_epsilon_on_either_side(side: float) -> None:
    assert torch.equal(Ball("linf", X, 0.03).project(X + 10 * side, ROWS, 0), X + 0.03 * side)
