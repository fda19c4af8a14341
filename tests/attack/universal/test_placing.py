"""Where patches lie: inside of the picture, spread over it, keyed; and nothing around them changes."""

from __future__ import annotations

import math

import pytest
import torch

from backlight.attack.universal.change import Patch, Perturbation
from backlight.attack.universal.placing import Places, draw_places, lay
from backlight.core.errors import InputError
from backlight.core.random import Random

FRAME = (20, 30)


@pytest.mark.parametrize("shape", ["circle", "square"])
def test_all_of_a_patch_lies_inside_and_everywhere(shape: str) -> None:
    places = draw_places(Random(0, range(4000)), FRAME, (0.2, 0.5), 22.5, shape)
    assert places.side.min() >= 4
    assert places.side.max() <= 10
    assert places.turn.abs().max() <= math.radians(22.5)
    for number in (places.side, places.turn, places.down, places.across):
        assert number.std() > 0
    corners = torch.tensor([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]], dtype=torch.float64)
    for down, across in corners if shape == "square" else []:
        y = places.down + places.side / 2 * (places.turn.cos() * down + places.turn.sin() * across)
        x = places.across + places.side / 2 * (places.turn.cos() * across - places.turn.sin() * down)
        assert ((y >= -1e-9) & (y <= FRAME[0] + 1e-9) & (x >= -1e-9) & (x <= FRAME[1] + 1e-9)).all()
    assert (places.down - places.side / 2 >= -1e-9).all()
    assert (places.across + places.side / 2 <= FRAME[1] + 1e-9).all()
    # Uniform over where it fits: the mean is the middle.
    assert abs(float(places.down.mean()) - 10) < 0.3
    assert abs(float(places.across.mean()) - 15) < 0.4


def test_places_do_not_depend_on_who_else_is_there() -> None:
    some = draw_places(Random(0, ["a", "b", "c"]), FRAME, (0.2, 0.5), 22.5, "circle")
    alone = draw_places(Random(0, ["b"]), FRAME, (0.2, 0.5), 22.5, "circle")
    assert all(one[1] == other[0] for one, other in zip(some, alone))


def test_upright_at_its_own_size_it_is_copied_pixel_by_pixel() -> None:
    patch, image = torch.rand(1, 3, 6, 6, dtype=torch.float64), torch.rand(1, 3, 20, 30, dtype=torch.float64)
    places = Places(*(torch.tensor([one], dtype=torch.float64) for one in (5.0, 13.0, 6.0, 0.0)))
    laid = lay(patch, image, places, "square")
    assert (laid[:, :, 2:8, 10:16] - patch).abs().max() < 1e-12
    laid[:, :, 2:8, 10:16] = image[:, :, 2:8, 10:16]
    assert laid.equal(image)


def test_a_quarter_turn_turns_it() -> None:
    patch, image = torch.rand(1, 3, 6, 6, dtype=torch.float64), torch.zeros(1, 3, 6, 6, dtype=torch.float64)
    places = Places(*(torch.tensor([one], dtype=torch.float64) for one in (3.0, 3.0, 6.0, math.pi / 2 - 1e-12)))
    laid = lay(patch, image, places, "square")
    assert (laid - patch.rot90(-1, (2, 3))).abs().max() < 1e-9


@pytest.mark.parametrize("shape", ["circle", "square"])
def test_nothing_around_the_patch_changes(shape: str) -> None:
    images = torch.rand(8, 3, 24, 24)  # not what 8 bits hold
    ids = [f"{number}.png" for number in range(8)]
    patch = Patch(torch.zeros(3, 12, 12), shape, (0.2, 0.5), 22.5)
    changed = patch.applied(images, ids)
    places = patch.places((24, 24), ids)
    area = places.side**2 * (math.pi / 4 if shape == "circle" else 1)
    for row, (image, after) in enumerate(zip(images, changed)):
        same = (image == after).all(0)
        assert abs(float((~same).sum()) - float(area[row])) < 0.35 * float(area[row]) + 4
        y, x = (~same).nonzero().unbind(1)
        far = ((y + 0.5 - places.down[row]) ** 2 + (x + 0.5 - places.across[row]) ** 2).sqrt().max()
        assert far <= places.side[row] / 2 * (1 if shape == "circle" else math.sqrt(2)) + 1e-9
        levels = after[:, ~same] * 255
        assert (levels - levels.round()).abs().max() < 1e-4


def test_applied_alone_or_with_others_a_picture_is_the_same() -> None:
    images = torch.rand(5, 3, 24, 24)
    ids = list("abcde")
    patch = Patch(torch.rand(3, 12, 12), "circle", (0.2, 0.5), 22.5)
    together = patch.applied(images, ids, seed=3)
    for row in range(5):
        assert together[row].equal(patch.applied(images[row : row + 1], ids[row : row + 1], seed=3)[0])
    assert not together.equal(patch.applied(images, ids, seed=4))


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_settled_perturbation_stays_inside_and_on_the_lattice(norm: str) -> None:
    eps = {"linf": 10.4 / 255, "l2": 2.0}[norm]
    change = Perturbation(torch.zeros(3, 8, 8), norm, eps)
    noise = change.control(0)
    levels = noise.values * 255
    assert (levels - levels.round()).abs().max() < 1e-4
    far = noise.values.abs().max() if norm == "linf" else noise.values.norm()
    assert 0.8 * eps < far <= eps + 1e-7
    images = (torch.rand(2, 3, 8, 8) * 255).round() / 255
    changed = noise.applied(images, ["a", "b"])
    assert ((changed * 255).round() == ((images * 255).round() + levels.round()).clamp(0, 255)).all()


def test_pictures_of_another_size_are_named() -> None:
    change = Perturbation(torch.zeros(3, 8, 8), "linf", 0.1)
    with pytest.raises(InputError, match=r"pictures \[3, 9, 9\] for a perturbation \[3, 8, 8\]"):
        change.applied(torch.zeros(1, 3, 9, 9), ["a"])
