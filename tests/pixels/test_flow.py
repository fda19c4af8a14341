"""Flows against shifts, gradients and the flows that made a picture."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from backlight.core.random import Random
from backlight.images import round_to_8bit
from backlight.pixels.flow import Flow, bend, least_flow

ROW = torch.arange(2)


def drawn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return Random(seed, ROW).uniform(*shape, dtype=dtype)


def constant(images: Tensor, across: float, down: float) -> Tensor:
    """A flow by whole pixels, in units in which the width is 2."""
    count, _, height, width = images.shape
    flow = torch.tensor([across, down], dtype=images.dtype) * (2 / width)
    return flow.view(1, 2, 1, 1).expand(count, 2, height, width)


@pytest.mark.parametrize("size", [(8, 8), (7, 5), (1, 6), (224, 224)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_flow_gives_the_picture_back_exactly(size: tuple[int, int], dtype: torch.dtype) -> None:
    images = drawn(3, *size, dtype=dtype)
    assert torch.equal(bend(images, torch.zeros(2, 2, *size, dtype=dtype)), images)
    moved = Flow(images, 0.05)
    assert torch.equal(moved.images(moved.start(ROW, Random(0, ROW)), ROW), images)
    eight = round_to_8bit(images)
    still = Flow(eight, 0.05, lattice=True)
    assert torch.equal(still.images(still.start(ROW, Random(0, ROW)), ROW), eight)


@pytest.mark.parametrize(("across", "down"), [(1, 0), (0, 2), (-2, 1), (3, -3)])
def test_a_constant_flow_shifts_the_picture(across: int, down: int) -> None:
    images = drawn(3, 8, 8)
    # What is shifted in from outside is the edge.
    padded = F.pad(images, (4, 4, 4, 4), mode="replicate")
    expected = padded[:, :, 4 + down : 12 + down, 4 + across : 12 + across]
    assert torch.equal(bend(images, constant(images, across, down)), expected)


def test_it_is_what_grid_sample_gives() -> None:
    images, flow = drawn(3, 9, 9), 0.4 * (2 * drawn(2, 9, 9, seed=1) - 1)
    places = (2 * torch.arange(9, dtype=torch.float64) + 1) / 9 - 1
    down, across = torch.meshgrid(places, places, indexing="ij")
    grid = torch.stack([across, down], -1) + flow.permute(0, 2, 3, 1)
    expected = F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
    torch.testing.assert_close(bend(images, flow), expected, atol=1e-12, rtol=0)


def test_its_gradient_is_that_of_small_differences() -> None:
    moved = Flow(drawn(1, 5, 6)[:1], 0.7)
    params = (2 * drawn(2, 3, 3, seed=2)[:1] - 1).requires_grad_()
    assert torch.autograd.gradcheck(lambda one: moved.images(one, ROW[:1]), (params,), eps=1e-7, atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 999), st.sampled_from([0.05, 0.2, 0.6]), st.booleans(), st.floats(0.1, 50))
def test_the_least_flow_never_exceeds_the_flow_that_made_the_picture(
    seed: int, bound: float, lattice: bool, scale: float
) -> None:
    originals = round_to_8bit(drawn(3, 12, 12, seed=seed, dtype=torch.float32))
    moved = Flow(originals, bound, lattice)
    params = scale * (2 * drawn(*moved.shape(), seed=seed + 1, dtype=torch.float32) - 1)
    images = moved.images(params, ROW)
    for one in (images, round_to_8bit(images), round_to_8bit(images, originals)):
        assert (least_flow(one, originals) <= bound * (1 + 1e-6)).all()


def test_the_least_flow_finds_a_shift_and_no_flow_for_what_is_found_nowhere() -> None:
    images = 0.2 + 0.6 * drawn(3, 16, 16)
    for pixels in (1, 2, 3):
        far = least_flow(bend(images, constant(images, pixels, 0)), images)
        assert (far <= 2 * pixels / 16).all()
        assert (far > 2 * (pixels - 1) / 16).all()
    half = least_flow(bend(images, constant(images, 0.5, 0)), images)
    assert (half <= 1 / 16).all()
    assert (half > 0).all()
    assert torch.equal(least_flow(images, images), torch.zeros(2, dtype=torch.float64))
    assert least_flow((images + 0.3).clamp(max=1), images).isinf().all()


def test_the_least_flow_of_one_pixel_agrees_with_looking_everywhere() -> None:
    original = drawn(1, 5, 5)[:1]
    image = original.clone()
    image[0, 0, 2, 2] = original[0, 0].flatten().sort().values[-3]
    steps = torch.linspace(-2, 2, 401, dtype=torch.float64)
    down, across = torch.meshgrid(steps, steps, indexing="ij")
    grid = torch.stack([(across + 2.5) * 2 / 5 - 1, (down + 2.5) * 2 / 5 - 1], -1)[None]
    seen = F.grid_sample(original, grid, padding_mode="border", align_corners=False)[0, 0]
    near = (seen - image[0, 0, 2, 2]).abs() <= 0.5 / 255 + 1e-3
    reached = torch.maximum(down.abs(), across.abs())[near].min()
    assert float(least_flow(image, original)) == pytest.approx(float(reached) * 2 / 5, abs=2 / 5 / 32)
