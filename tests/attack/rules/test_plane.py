"""The nearest point of a plane inside the box, against brute force and random feasible points."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from backlight.attack.rules.plane import to_plane
from backlight.pixels.geometry import length

NORMS = ("linf", "l2", "l1")


def problem(seed: int, count: int, size: int):
    draw = torch.Generator().manual_seed(seed)
    points = (1.4 * torch.rand(count, size, generator=draw, dtype=torch.float64) - 0.2).clamp(0, 1)
    normal = torch.randn(count, size, generator=draw, dtype=torch.float64)
    normal = normal * 10 ** (2 * torch.rand(count, size, generator=draw, dtype=torch.float64) - 1)
    normal[:, 0] *= torch.rand(count, generator=draw) > 0.3
    other = torch.rand(count, size, generator=draw, dtype=torch.float64)
    return points, normal, (normal * other).sum(1), other


@pytest.mark.parametrize("norm", NORMS)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_result_is_feasible_and_nearer_than_others(norm: str, seed: int) -> None:
    points, normal, offset, feasible = problem(seed, 6, 9)
    change = to_plane(points, normal, offset, norm)
    moved = points + change
    assert ((moved >= -1e-12) & (moved <= 1 + 1e-12)).all()
    assert torch.allclose((normal * moved).sum(1), offset, atol=1e-9)
    assert (length(change, norm) <= length(feasible - points, norm) + 1e-9).all()


@pytest.mark.parametrize("norm", NORMS)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_in_two_dimensions_the_segment_has_no_nearer_point(norm: str, seed: int) -> None:
    points, normal, offset, _ = problem(seed, 1, 2)
    change = to_plane(points, normal, offset, norm)
    share = torch.linspace(0, 1, 20001, dtype=torch.float64)
    for free in (0, 1):
        if normal[0, 1 - free].abs() < 1e-9:
            continue
        line = torch.empty(len(share), 2, dtype=torch.float64)
        line[:, free] = share
        line[:, 1 - free] = (offset - normal[0, free] * share) / normal[0, 1 - free]
        allowed = ((line >= 0) & (line <= 1)).all(1)
        if allowed.any():
            assert length(change, norm) <= length(line[allowed] - points, norm).min() + 1e-9


@pytest.mark.parametrize("norm", NORMS)
def test_a_plane_outside_of_the_box_ends_in_the_far_corner(norm: str) -> None:
    points, normal = torch.tensor([[0.3, 0.6]]), torch.tensor([[1.0, -2.0]])
    moved = points + to_plane(points, normal, torch.tensor([5.0]), norm)
    assert torch.allclose(moved, torch.tensor([[1.0, 0.0]]))


@pytest.mark.parametrize("norm", NORMS)
def test_on_the_plane_or_without_a_slope_nothing_moves(norm: str) -> None:
    points, normal = torch.tensor([[0.3, 0.6]]), torch.tensor([[1.0, 1.0]])
    assert to_plane(points, normal, torch.tensor([0.9]), norm).abs().max() < 1e-6
    assert torch.equal(to_plane(points, normal * 0, torch.tensor([1.0]), norm), torch.zeros(1, 2))
