import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from backlight.core.errors import InputError
from backlight.images import to_tensor
from backlight.images.resize import CropBox, Resize

SIZES = [(300, 451), (451, 300), (256, 256), (64, 48), (1, 1), (1, 9), (225, 224), (224, 500), (777, 90)]
RULES = [
    {"input_size": (3, 224, 224), "crop_pct": 0.875, "interpolation": "bicubic"},
    {"input_size": (3, 224, 224), "crop_pct": 0.9, "interpolation": "bilinear"},
    {"input_size": (3, 64, 64), "crop_pct": 1.0, "interpolation": "lanczos"},
    {"input_size": (3, 33, 33), "crop_pct": 0.77, "interpolation": "nearest"},
    {"input_size": (3, 96, 160), "crop_pct": 1.0, "interpolation": "bicubic"},
    {"input_size": (3, 160, 96), "crop_pct": 0.8, "interpolation": "bilinear"},
    {"input_size": (3, 96, 96), "crop_pct": 0.875, "interpolation": "bicubic", "crop_mode": "squash"},
    {"input_size": (3, 48, 96), "crop_pct": 1.0, "interpolation": "bicubic", "crop_mode": "squash"},
]


def photograph(height: int, width: int) -> Image.Image:
    values = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


@pytest.mark.parametrize("config", RULES, ids=lambda config: "-".join(map(str, config.values())))
def test_equals_timms_evaluation_transform_pixel_for_pixel(config: dict) -> None:
    from timm.data import create_transform

    theirs = create_transform(**config, is_training=False, normalize=False)
    for height, width in SIZES:
        picture = photograph(height, width)
        crop, _ = Resize.from_timm(config).resize(picture)
        assert torch.equal((to_tensor(crop) * 255).round().byte(), theirs(picture)), (height, width)


def test_a_picture_of_the_input_size_passes_through_untouched() -> None:
    picture = photograph(224, 100)
    crop, box = Resize(256, (224, 100)).resize(picture)
    assert crop is picture
    assert box == (0, 0, 100, 224)


def test_a_crop_larger_than_the_scaled_picture_is_filled_with_black() -> None:
    crop, box = Resize(4, (8, 8)).resize(Image.new("RGB", (100, 100), "white"))
    values = np.asarray(crop)[..., 0]
    assert values[2:6, 2:6].min() == 255
    assert values.sum() == 255 * 16
    assert box == CropBox(-50, -50, 150, 150)


def coordinates(height: int, width: int) -> Image.Image:
    """A picture whose red is the column and whose green the row."""
    across, down = np.meshgrid(np.arange(width), np.arange(height))
    return Image.fromarray(np.stack([across, down, 0 * down], axis=2).astype(np.uint8))


@given(
    st.tuples(st.integers(1, 250), st.integers(1, 250)),
    st.tuples(st.integers(1, 64), st.integers(1, 64)),
    st.integers(0, 30),
    st.booleans(),
)
@settings(deadline=None)
def test_the_box_says_where_each_pixel_came_from(
    full: tuple[int, int], size: tuple[int, int], extra: int, squash: bool
) -> None:
    crop, box = Resize(min(size) + extra, size, "bilinear", squash).resize(coordinates(*full))
    assert crop.size == size[::-1]
    values = np.asarray(crop).astype(float)
    for axis, (low, high, length) in enumerate([(box.left, box.right, full[1]), (box.top, box.bottom, full[0])]):
        count = crop.size[axis]
        centers = low + (np.arange(count) + 0.5) * (high - low) / count
        reach = max(1.0, (high - low) / count)  # at the picture's edge the filter sees one side only
        middle = [size[1] // 2, size[0] // 2]
        middle[axis] = slice(None)  # type: ignore[call-overload]
        line = values[middle[1], middle[0], axis]
        clear = (centers > reach) & (centers < length - reach)
        assert np.abs(line - (centers - 0.5))[clear].max(initial=0) <= 1


def test_the_box_lies_on_the_photograph_and_keeps_the_center() -> None:
    _, box = Resize(256, (224, 224)).resize(photograph(300, 451))
    assert box.left + box.right == pytest.approx(451, abs=2)
    assert box.top + box.bottom == pytest.approx(300, abs=2)
    assert box.bottom - box.top == pytest.approx(300 * 224 / 256)


@pytest.mark.parametrize(("height", "width"), [(3, 400), (500, 2), (12, 5000), (2600, 30)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos"])
def test_a_long_strip_is_cropped_as_if_it_had_been_scaled_whole(height: int, width: int, interpolation: str) -> None:
    import torchvision.transforms as transforms

    # Without extremes: where bicubic overshoots, PIL clips between its two passes, whose order depends on the size.
    picture = Image.fromarray(np.asarray(photograph(height, width)) // 4 + 96)
    rule = Resize(20, (16, 16), interpolation)
    mode = transforms.InterpolationMode(interpolation)
    whole = transforms.CenterCrop(16)(transforms.Resize(20, mode)(picture))
    assert np.abs(np.asarray(rule.resize(picture)[0]).astype(int) - np.asarray(whole)).max() <= 1


def test_a_strip_of_a_million_pixels_needs_no_memory_of_its_own() -> None:
    # Scaled as a whole it would have 256 x 256,000,000 pixels.
    crop, box = Resize(256, (224, 224)).resize(Image.new("RGB", (1_000_000, 1), "red"))
    assert crop.getpixel((100, 100)) == (255, 0, 0)
    assert box.left == pytest.approx(500_000, abs=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((256, (0, 224)), "input size"),
        ((0, (224, 224)), "shorter side"),
        ((256, (224, 224), "bicubik"), "unknown interpolation 'bicubik'; try: bicubic"),
    ],
)
def test_impossible_rules_are_refused(arguments: tuple, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Resize(*arguments)


def test_a_crop_larger_than_the_scaled_picture_is_padded_as_torchvision_pads() -> None:
    from torchvision.transforms import functional

    for size in ((20, 20), (21, 21)):
        picture = photograph(15, 15)
        crop, box = Resize(15, size).resize(picture)
        assert torch.equal(to_tensor(crop), to_tensor(functional.center_crop(picture, size)))
        assert box.right - box.left == size[1]
