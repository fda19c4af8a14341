"""Square attack: published sides, starts, and what it may propose."""

from __future__ import annotations

import pytest
import torch

from backlight.attack.rules.square import Square, SquareL2, Stripes, Tiles, bump, side_of, window
from backlight.core.random import Random
from backlight.pixels.geometry import length
from backlight.pixels.rule import Observation

TURNS = (0, 11, 51, 201, 501, 1001, 2001, 4001)


@pytest.mark.parametrize(
    ("size", "sides"),
    [
        (32, [29, 20, 14, 10, 7, 5, 4, 3]),
        (28, [25, 18, 13, 9, 6, 4, 3, 2]),
        (224, [200, 142, 100, 71, 50, 35, 25, 18]),
    ],
)
def test_sides(size: int, sides: list[int]) -> None:
    assert [side_of(turn, size, size) for turn in TURNS] == sides


def test_the_schedule_changes_after_its_marks() -> None:
    assert side_of(10, 32, 32) == 29
    assert side_of(50, 32, 32) == 20


def test_stripes_are_vertical_and_reach_eps() -> None:
    offset = Stripes(0.1)(torch.zeros(3, 3, 8, 8), torch.arange(3), Random(0, [0, 1, 2]))
    assert torch.equal(offset, offset[:, :, :1].expand_as(offset))
    assert torch.equal(offset.abs(), torch.full_like(offset, 0.1))
    assert not torch.equal(offset[0], offset[1])


def test_windows_are_squares_inside_and_differ_by_image() -> None:
    inside = window(Random(0, list(range(20))), torch.zeros(20, 3, 9, 9), 4, "test")
    assert inside.flatten(1).sum(1).tolist() == [16] * 20
    assert len({tuple(mask.flatten().tolist()) for mask in inside}) > 5


def seen(kept: torch.Tensor, value: torch.Tensor, success: torch.Tensor, turn: int) -> Observation:
    random = Random(0, torch.arange(len(kept)), turn)
    return Observation(turn, 100, kept, value, None, success, random, lambda params: params)


def test_proposals_are_kept_only_where_they_help() -> None:
    rule, first = Square(0.1), torch.rand(3, 3, 8, 8)
    state = rule.init(first, torch.arange(3))
    no = torch.zeros(3, dtype=torch.bool)
    move = rule.step(state, seen(first, torch.zeros(3), no, 0))
    value = torch.tensor([1.0, -1.0, -1.0])
    move = rule.step(move.state, seen(move.params, value, torch.tensor([False, False, True]), 1))
    changed = [not torch.equal(a, b) for a, b in zip(move.state["kept"], first)]
    assert changed == [True, False, True]


def test_a_proposal_changes_one_square_by_two_eps() -> None:
    rule, first = Square(0.1), torch.rand(4, 3, 16, 16)
    state = rule.init(first, torch.arange(4))
    move = rule.step(state, seen(first, torch.zeros(4), torch.zeros(4, dtype=torch.bool), 300))
    difference = (move.params - first).abs()
    assert (difference.amax((2, 3)) - 0.2).abs().max() < 1e-6
    side = side_of(300, 16, 16)
    assert ((difference > 0.1).sum((2, 3)) == side**2).all()


def test_bumps_have_length_one_and_two_halves() -> None:
    for side in (1, 2, 3, 5, 8):
        shape = bump(side)
        assert shape.square().sum().sqrt() == pytest.approx(1, abs=1e-6)
        if side > 1:
            assert (shape[: side // 2] > 0).any()
            assert (shape[side // 2 :] <= 0).all()


@pytest.mark.parametrize("size", [3, 4, 8, 32])
def test_tiles_and_moves_have_length_eps(size: int) -> None:
    images = torch.zeros(4, 3, size, size)
    start = Tiles(0.5)(images, torch.arange(4), Random(0, [0, 1, 2, 3]))
    assert torch.allclose(length(start, "l2"), torch.full((4,), 0.5), atol=1e-5)
    rule = SquareL2(0.5, images=images)
    state = rule.init(start, torch.arange(4))
    no = torch.zeros(4, dtype=torch.bool)
    for turn in range(5):
        move = rule.step(state, seen(start, torch.full((4,), float(turn)), no, turn))
        state, start = move.state, move.params
        assert torch.allclose(length(start, "l2"), torch.full((4,), 0.5), atol=1e-5)
