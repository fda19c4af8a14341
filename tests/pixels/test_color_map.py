"""Maps of colors: what they must keep, and what they cannot have made."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from backlight.core.errors import InputError
from backlight.core.random import Random
from backlight.images import round_to_8bit
from backlight.pixels.bounded import roughness
from backlight.pixels.color_map import ColorMap, largest_recoloring
from backlight.pixels.view import View

ROWS = torch.arange(2)


def drawn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return Random(seed, ROWS).uniform(*shape, dtype=dtype)


def few_colors(seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Pictures in which every color occurs many times."""
    return (drawn(3, 12, 12, seed=seed, dtype=dtype) * 2).round() / 2 * 0.8 + 0.1


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_identity_gives_the_picture_back_exactly(channels: int, dtype: torch.dtype) -> None:
    images = drawn(channels, 6, 7, dtype=dtype)
    moved = ColorMap(images, 0.06)
    assert torch.equal(moved.images(moved.start(ROWS, Random(0, ROWS)), ROWS), images)


def test_a_grid_point_moves_its_own_color_and_no_far_one() -> None:
    colors = torch.tensor([[0.0, 0.5, 1.0], [0.25, 0.25, 0.25], [1.0, 1.0, 1.0]], dtype=torch.float64)
    moved = ColorMap(colors.T.reshape(1, 3, 1, 3), 0.1, points=5)
    params = torch.zeros(1, *moved.shape(), dtype=torch.float64)
    params[0, 1, 4, 2, 0] = 50.0  # the second channel of blue 1, green 0.5, red 0
    expected = moved.originals.clone()
    expected[0, 1, 0, 0] += 0.1
    torch.testing.assert_close(moved.images(params, ROWS[:1]), expected, atol=1e-12, rtol=0)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 999), st.sampled_from([0.02, 0.06, 0.4]), st.booleans(), st.floats(0.1, 50))
def test_equal_pixels_stay_equal_and_none_moves_beyond_the_bound(
    seed: int, bound: float, lattice: bool, scale: float
) -> None:
    originals = round_to_8bit(few_colors(seed, torch.float32))
    moved = ColorMap(originals, bound, lattice, points=5)
    images = moved.images(scale * (2 * drawn(*moved.shape(), seed=seed, dtype=torch.float32) - 1), ROWS)
    assert (images >= 0).all()
    assert (images <= 1).all()
    for one in (images, round_to_8bit(images, originals)):
        far = largest_recoloring(one, originals)
        assert (far <= bound + 1e-6).all()
        torch.testing.assert_close(far, (one.double() - originals.double()).abs().amax((1, 2, 3)), atol=0, rtol=0)


def test_a_pixel_that_leaves_its_like_is_no_map_of_colors() -> None:
    originals = few_colors()
    images = originals.clone()
    images[0, 0, 3, 3] += 1 / 255
    assert largest_recoloring(images, originals).tolist() == [torch.inf, 0.0]


def test_its_gradient_is_that_of_small_differences() -> None:
    moved = ColorMap(0.2 + 0.6 * drawn(3, 2, 3)[:1], 0.1, points=3)
    params = (2 * drawn(*moved.shape(), seed=1)[:1] - 1).requires_grad_()
    assert torch.autograd.gradcheck(lambda one: moved.images(one, ROWS[:1]), (params,))


def test_more_than_three_channels_are_refused_in_a_sentence() -> None:
    with pytest.raises(InputError, match="a map of colors for pictures of 4 channels; expected 1 to 3"):
        ColorMap(torch.zeros(1, 4, 2, 2), 0.1)
    with pytest.raises(InputError, match="1 points for each channel"):
        ColorMap(torch.zeros(1, 3, 2, 2), 0.1, points=1)


def test_roughness_is_the_mean_step_between_neighbors() -> None:
    moved = ColorMap(drawn(1, 2, 2), 0.1, points=3)
    params = torch.atanh(torch.tensor([0.0, 0.3, 0.1], dtype=torch.float64)).view(1, 1, 1, 1, 3).expand(2, -1, 1, 1, -1)
    view = View(None, moved.originals, params=params)
    torch.testing.assert_close(roughness(moved)(view), torch.full((2,), 0.25, dtype=torch.float64))
    vectors = ColorMap(drawn(3, 2, 2), 0.1, points=2)
    drawn_params = drawn(*vectors.shape(), seed=4).requires_grad_()
    field = torch.tanh(drawn_params)
    pairs = [field.diff(dim=axis).square().sum(1).sqrt().flatten(1) for axis in (2, 3, 4)]
    value = roughness(vectors)(View(None, vectors.originals, params=drawn_params))
    torch.testing.assert_close(value, torch.cat(pairs, 1).mean(1))
    assert torch.autograd.gradcheck(
        lambda one: roughness(vectors)(View(None, vectors.originals, params=one)), (drawn_params,)
    )
