"""Projections, one per norm: feasible, idempotent, non-expansive, interior unchanged, optimal."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from backlight.attack import ThreatModel
from backlight.core.errors import InputError, UsageError
from backlight.pixels.constraints import Ball
from backlight.pixels.geometry import length
from backlight.pixels.l1 import L1Ball, project_l1

NORMS = ("linf", "l2", "l1")


def draw(seed: int, *shape: int, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def center(seed: int, *shape: int) -> Tensor:
    """Images of which some values are exactly 0 or 1."""
    values = torch.rand(*shape, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64)
    return (1.4 * values - 0.2).clamp(0, 1)


def projection(norm: str, middle: Tensor, eps: float | Tensor):
    constraint = L1Ball(middle, eps) if norm == "l1" else Ball(norm, middle, eps)
    return lambda points: constraint.project(points, torch.arange(len(points)), 0)


SEEDS = st.integers(0, 10**6)
SIZES = st.sampled_from([0.0, 1e-6, 0.01, 0.3, 1.0, 5.0])


@pytest.mark.parametrize("norm", NORMS)
@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, eps=SIZES, scale=st.sampled_from([1e-3, 0.1, 1.0, 30.0]))
def test_projections_keep_their_promises(norm: str, seed: int, eps: float, scale: float) -> None:
    middle, eps = center(seed, 5, 1, 2, 4), min(eps, 1.0) if norm == "linf" else eps
    project = projection(norm, middle, eps)
    here, there = middle + draw(seed, 5, 1, 2, 4, scale=scale), middle + draw(seed + 2, 5, 1, 2, 4, scale=scale)
    nearest, other = project(here), project(there)
    assert (length(nearest - middle, norm) <= eps * (1 + 1e-9) + 1e-12).all()
    assert torch.allclose(project(nearest), nearest, atol=1e-12, rtol=0)
    assert (length(nearest - other, "l2") <= length(here - there, "l2") + 1e-9).all()
    assert torch.equal(project(middle), middle)
    if norm == "l1":
        assert ((nearest >= 0) & (nearest <= 1)).all()


@pytest.mark.parametrize("norm", NORMS)
def test_an_interior_point_is_itself(norm: str) -> None:
    middle = 0.25 + center(3, 5, 1, 2, 4) / 2
    offset = draw(4, 5, 1, 2, 4)
    inside = middle + 0.2 * offset / length(offset, norm).view(-1, 1, 1, 1)
    assert torch.equal(projection(norm, middle, 0.25)(inside), inside)


@pytest.mark.parametrize("norm", NORMS)
@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, eps=st.sampled_from([0.05, 0.4, 1.0]))
def test_no_point_of_a_grid_is_nearer(norm: str, seed: int, eps: float) -> None:
    middle = center(seed, 1, 1, 1, 2)
    point = middle + draw(seed, 1, 1, 1, 2, scale=0.7)
    found = projection(norm, middle, eps)(point)
    axis = torch.linspace(-0.2, 1.2, 561, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis).view(-1, 1, 1, 2)
    allowed = length(grid - middle, norm) <= eps
    if norm == "l1":
        allowed &= ((grid >= 0) & (grid <= 1)).flatten(1).all(1)
    if allowed.any():
        best = length(grid[allowed] - point, "l2").min()
        assert length(found - point, "l2")[0] <= best + 1e-12


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, eps=st.floats(0.01, 4.0))
def test_the_l1_projection_meets_its_optimality_conditions(seed: int, eps: float) -> None:
    middle = center(seed, 3, 1, 4, 6)
    point = middle + draw(seed, 3, 1, 4, 6)
    found = project_l1(point, middle, eps)
    sizes, kept = (point - middle).abs().flatten(1), (found - middle).abs().flatten(1)
    room = torch.where(point > middle, 1 - middle, middle).flatten(1)
    free = (kept > 1e-9) & (kept < room - 1e-9)
    for row in range(3):
        shrunk = (sizes - kept)[row][free[row]]
        if len(shrunk) and kept[row].sum() > eps - 1e-9:
            assert (shrunk - shrunk[0]).abs().max() < 1e-9
            still = (kept[row] < 1e-9) & (room[row] > 1e-9)
            assert (sizes[row][still] <= shrunk[0] + 1e-9).all()


def test_eps_may_differ_per_image() -> None:
    middle, eps = torch.full((2, 1, 2, 2), 0.5), torch.tensor([0.1, 0.4])
    for norm in NORMS:
        moved = projection(norm, middle, eps)(torch.ones(2, 1, 2, 2))
        assert torch.allclose(length(moved - middle, norm), eps)


def test_inside_refuses_what_is_not_allowed() -> None:
    original = torch.full((1, 3, 2, 2), 100 / 255)
    good = original + 4 / 255
    threat = ThreatModel("linf", "8/255", lattice=True)
    assert threat.inside(good, original).tolist() == [True]
    for bad in (good + 5 / 255, good + 0.4 / 255, good * torch.nan, good * torch.inf, good - 2):
        assert threat.inside(bad, original).tolist() == [False]
    outside = ThreatModel("linf", 1.0).inside(original + 0.7, original)
    assert outside.tolist() == [False]


def test_inside_refuses_changes_beside_the_mask() -> None:
    original, mask = torch.full((1, 3, 2, 2), 0.5), torch.tensor([[True, False], [False, False]])
    threat = ThreatModel("linf", 0.1, mask=mask)
    corner, everywhere = original + 0.05 * mask, original + 0.05
    expanded = threat.mask_of(original)
    assert threat.inside(corner, original, expanded).tolist() == [True]
    assert threat.inside(everywhere, original, expanded).tolist() == [False]


def test_words_name_the_size_in_pixels() -> None:
    assert ThreatModel("linf", "8/255").describe() == "linf 8/255 = 0.03137 in [0,1] pixels"
    assert "more than half" in ThreatModel("linf", 0.6).describe()
    assert ThreatModel("l2", None).describe() == "l2, no bound"
    assert "8-bit" in ThreatModel("l2", 0.5, lattice=True).describe()


@pytest.mark.parametrize(
    ("norm", "eps"), [("linf", 8), ("linf", "8"), ("l2", -1.0), ("linf", float("nan")), ("l0", 1.5), ("l3", 1.0)]
)
def test_unusable_threats_are_refused(norm: str, eps: float | str) -> None:
    with pytest.raises(UsageError):
        ThreatModel(norm, eps)


def test_a_mask_must_fit() -> None:
    with pytest.raises(InputError):
        ThreatModel(mask=torch.ones(3, 3, dtype=torch.bool)).mask_of(torch.zeros(1, 3, 2, 2))
