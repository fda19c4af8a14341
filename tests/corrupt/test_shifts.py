"""Small changes against numpy, and that nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from backlight.core.random import Random
from backlight.corrupt.shifts import SHIFTS, brighten, rotate, scale, shift_by_one, translate
from tests.corrupt.pictures import photographs

RANDOM = Random(0, ["a", "b", "c"])


def test_a_shift_is_whole_pixels_with_mirrored_edges() -> None:
    images = photographs(3, 32)
    found = shift_by_one(images, 1, RANDOM)
    padded = np.pad(images.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect")
    moves = {
        name: padded[:, :, 1 + y : 33 + y, 1 + x : 33 + x]
        for name, (y, x) in enumerate([(-1, 0), (1, 0), (0, -1), (0, 1)])
    }
    for row, way in enumerate(RANDOM.integer(4, stream="way").tolist()):
        assert np.allclose(found[row], moves[way][row], atol=1e-5)


def test_translation_moves_by_its_length() -> None:
    images = torch.zeros(3, 1, 41, 41)
    images[:, :, 20, 20] = 1
    found = translate(images, 5.0, RANDOM)
    y, x = torch.arange(41.0)[:, None], torch.arange(41.0)
    center = torch.stack([(found[:, 0] * y).sum((1, 2)), (found[:, 0] * x).sum((1, 2))], 1)
    assert torch.allclose((center - 20).norm(dim=1), torch.full((3,), 5.0), atol=1e-3)
    assert len({round(float(one), 2) for one in center[:, 0]}) == 3


def test_rotation_is_scipys() -> None:
    images = photographs(3, 33)
    found = rotate(images, 5, RANDOM)
    for row, sign in enumerate(RANDOM.sign().tolist()):
        expected = [
            ndimage.rotate(images[row, 0].numpy(), way * 5 * sign, reshape=False, order=1, mode="mirror")
            for way in (1, -1)
        ]
        assert min(float(np.abs(found[row, 0].numpy() - one).max()) for one in expected) < 1e-4


def test_scaling_keeps_the_centre_and_constant_pictures_stay() -> None:
    images = photographs(3, 33)
    assert torch.allclose(scale(images, 0.1, RANDOM)[:, :, 16, 16], images[:, :, 16, 16], atol=1e-5)
    flat = torch.full((3, 3, 16, 16), 100 / 255)
    for name, shift in SHIFTS.items():
        if name != "brightness":
            assert torch.allclose(shift.change(flat, shift.amounts[-1], RANDOM), flat, atol=1e-6), name
    assert torch.allclose((brighten(flat, 0.1, RANDOM) - flat).abs(), torch.full_like(flat, 0.1), atol=1e-6)


@pytest.mark.parametrize("name", sorted(SHIFTS))
def test_no_picture_depends_on_its_batch(name: str) -> None:
    images, shift = photographs(3, 64), SHIFTS[name]
    whole = shift.change(images, shift.amounts[0], RANDOM)
    assert torch.equal(shift.change(images[1:2], shift.amounts[0], Random(0, ["b"])), whole[1:2])


def test_small_pictures_are_moved_less() -> None:
    assert SHIFTS["translate"].amounts_for(224) == (1, 3, 10, 30)
    assert SHIFTS["translate"].amounts_for(32) == (1, 3)
    assert SHIFTS["rotate"].amounts_for(32) == (1, 2.5, 5)
