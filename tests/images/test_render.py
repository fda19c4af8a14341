import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from backlight.core.errors import InputError
from backlight.images import CropBox, Resize, to_picture, to_tensor
from backlight.images.colors import colorize
from backlight.images.render import amplify, normalize_map, overlay, place


def uniform(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def test_normalize_map_cuts_outliers_off() -> None:
    values = torch.arange(100.0).reshape(10, 10) + 3
    values[-1, -1] = 1e6
    scaled, flat, finite = normalize_map(values, percentile=99)
    assert torch.allclose(scaled.flatten()[:99], torch.arange(99.0) / 98)
    assert scaled[-1, -1] == 1
    assert (flat, finite) == (False, True)


def test_signed_maps_keep_zero_in_the_middle() -> None:
    values = torch.tensor([[-4.0, -1.0], [0.0, 2.0]])
    assert normalize_map(values, signed=True, percentile=100).values.tolist() == [[0, 0.375], [0.5, 0.75]]


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("value", [0.0, 1e-30, 3.0, -2.0])
def test_flat_maps_are_flagged(signed: bool, value: float) -> None:
    noise = torch.tensor([[1.0, 1.0 + 1e-7], [1.0, 1.0]])
    scaled, flat, finite = normalize_map(value * noise, signed=signed)
    assert (flat, finite) == (True, True)
    assert torch.allclose(scaled, torch.full((2, 2), (np.sign(value) / 2 + 0.5) if signed else 0.0), atol=1e-6)


@pytest.mark.parametrize(("signed", "middle"), [(False, 0.0), (True, 0.5)])
def test_values_that_are_not_finite_do_not_count(signed: bool, middle: float) -> None:
    values = torch.tensor([[torch.nan, 0.0, 1.0, torch.inf, -torch.inf]])
    scaled, flat, finite = normalize_map(values, signed=signed)
    assert scaled.tolist() == [[middle, middle, 1.0, middle, middle]]
    assert (flat, finite) == (False, False)
    nothing = normalize_map(torch.full((2, 2), torch.nan), signed=signed)
    assert nothing.values.tolist() == [[middle] * 2] * 2
    assert (nothing.flat, nothing.finite) == (True, False)


@pytest.mark.parametrize("signed", [False, True])
def test_a_sparse_map_does_not_vanish(signed: bool) -> None:
    values = torch.zeros(100, 100)
    values[3, 4] = 1e-20
    scaled, flat, _ = normalize_map(values, signed=signed)
    assert scaled[3, 4] == 1
    assert not flat


@settings(deadline=None)
@given(st.lists(st.floats(width=32), min_size=1, max_size=30), st.booleans(), st.floats(0.1, 100))
def test_normalized_maps_are_always_in_range(numbers: list[float], signed: bool, percentile: float) -> None:
    scaled = normalize_map(torch.tensor([numbers]), signed, percentile).values
    assert scaled.dtype == torch.float32
    assert ((scaled >= 0) & (scaled <= 1)).all()


def test_normalize_map_refuses_other_shapes_and_percentiles() -> None:
    with pytest.raises(InputError, match=r"shape \[3, 2, 2\]"):
        normalize_map(torch.zeros(3, 2, 2))
    with pytest.raises(InputError, match="percentile 0"):
        normalize_map(torch.zeros(2, 2), percentile=0)


def test_place_without_scaling_copies_the_map() -> None:
    values = uniform(5, 7)
    full = place(values, CropBox(3, 2, 10, 7), (9, 12), fill=-1)
    assert torch.equal(full[2:7, 3:10], values)
    assert (full == -1).sum() == 9 * 12 - 35


def test_place_enlarges_as_linear_interpolation_does() -> None:
    values = uniform(1, 1, 7, 5)
    ours = place(values, CropBox(0, 0, 33, 41), (41, 33))
    theirs = torch.nn.functional.interpolate(values, (41, 33), mode="bilinear", align_corners=False)
    assert torch.allclose(ours, theirs, atol=1e-6)


def test_place_shrinks_as_antialiased_interpolation_does() -> None:
    values = uniform(1, 1, 60, 44)
    ours = place(values, CropBox(0, 0, 11, 12), (12, 11))
    theirs = torch.nn.functional.interpolate(values, (12, 11), mode="bilinear", antialias=True)
    assert torch.allclose(ours, theirs, atol=1e-5)


@settings(deadline=None)
@given(
    st.tuples(st.integers(1, 200), st.integers(1, 200)),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.integers(0, 20),
)
def test_place_undoes_the_crop(full: tuple[int, int], size: tuple[int, int], extra: int) -> None:
    height, width = full
    across, down = np.meshgrid(np.arange(width), np.arange(height))
    picture = np.stack([across, down, 0 * down], axis=2).astype(np.uint8)
    crop, box = Resize(min(size) + extra, size, "bilinear").resize(
        to_picture(torch.tensor(picture).permute(2, 0, 1) / 255)
    )
    placed = (place(to_tensor(crop), box, full, fill=-1) * 255).numpy()
    covered = placed[0] >= 0
    inside = (box.left <= across + 0.5) & (across + 0.5 < box.right)
    centers = inside & (box.top <= down + 0.5) & (down + 0.5 < box.bottom)
    assert np.array_equal(covered, centers)
    blur = [
        max(1.0, (high - low) / count)
        for low, high, count in ((box.left, box.right, size[1]), (box.top, box.bottom, size[0]))
    ]
    for axis, truth in enumerate((across, down)):
        assert np.abs(placed[axis] - truth)[covered].max(initial=0) <= 1.5 * blur[axis] + 1.5


def test_a_box_beyond_the_photograph_shows_its_part() -> None:
    full = place(torch.arange(16.0).reshape(4, 4), CropBox(-2, -2, 2, 2), (3, 3), fill=-1)
    assert full.tolist() == [[10, 11, -1], [14, 15, -1], [-1, -1, -1]]
    assert (place(torch.ones(2, 2), CropBox(9, 9, 11, 11), (3, 3)) == 0).all()


def test_place_refuses_empty_maps_and_boxes() -> None:
    with pytest.raises(InputError, match="shape"):
        place(torch.zeros(3, 0), CropBox(0, 0, 1, 1), (2, 2))
    with pytest.raises(InputError, match="is empty"):
        place(torch.zeros(3, 3), CropBox(1, 0, 1, 1), (2, 2))


def test_overlay_blends_by_the_maps_values() -> None:
    image, values = uniform(3, 4, 6), torch.linspace(0, 1, 24).reshape(4, 6)
    expected = image * (1 - 0.6 * values) + colorize(values, "heat") * 0.6 * values
    assert torch.allclose(overlay(image, values, 0.6, "heat"), expected)
    assert torch.equal(overlay(image, values, 0.0), image)
    gray = overlay(image[:1], torch.zeros(4, 6))
    assert torch.equal(gray, image[:1].expand(3, -1, -1))


def test_a_signed_overlay_leaves_the_photograph_where_the_map_is_zero() -> None:
    image = uniform(3, 1, 3)
    shown = overlay(image, torch.tensor([[0.0, 0.5, 1.0]]), 1.0, "signed")
    assert torch.equal(shown[..., 1], image[..., 1])
    ends = colorize(torch.tensor([[0.0, 1.0]]), "signed")
    assert torch.equal(shown[..., [0, 2]], ends)


def test_overlay_stretches_small_maps() -> None:
    shown = overlay(torch.zeros(3, 8, 8), torch.tensor([[0.0, 1.0]]), 1.0, "gray")
    assert shown.shape == (3, 8, 8)
    assert (shown[..., 1:] >= shown[..., :-1]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.zeros(2, 4, 4), torch.zeros(4, 4)), "an image of shape"),
        ((torch.zeros(3, 4, 4), torch.zeros(1, 4, 4)), "a map of shape"),
        ((torch.zeros(3, 4, 4), torch.zeros(4, 4), 1.5), "opacity 1.5"),
        ((torch.zeros(3, 4, 4), torch.full((4, 4), torch.nan)), "not finite"),
    ],
)
def test_overlay_refuses_what_does_not_fit(arguments: tuple, message: str) -> None:
    with pytest.raises(InputError, match=message):
        overlay(*arguments)


def test_amplify_centers_on_middle_gray() -> None:
    difference = torch.tensor([-1.0, -0.02, 0.0, 0.03, 1.0])
    assert torch.allclose(amplify(difference, 10), torch.tensor([0.0, 0.3, 0.5, 0.8, 1.0]))


def test_nothing_drawn_keeps_a_graph() -> None:
    values = uniform(4, 4).requires_grad_()
    image = uniform(3, 4, 4).requires_grad_()
    drawn = [
        overlay(image, values),
        amplify(image),
        place(values, CropBox(0, 0, 4, 4), (4, 4)),
        normalize_map(values).values,
    ]
    assert not any(result.requires_grad for result in drawn)
