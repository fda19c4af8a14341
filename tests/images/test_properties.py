"""Properties of pictures against published numbers, closed forms and the files that they come from."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from skimage import data

from backlight.audit.kept import HEALTH, PROPERTIES
from backlight.data.decoded import from_paths
from backlight.data.fitted import whole
from backlight.data.pictures import Memory
from backlight.images import Resize, open_picture
from backlight.images.properties import LONGEST, picture_properties
from tests.corrupt.pictures import pattern


def of(values: np.ndarray) -> dict[str, float]:
    return picture_properties(Image.fromarray(values.astype(np.uint8)))


def test_the_published_picture() -> None:
    pixels = (pattern()[0] * 255).round().byte().permute(1, 2, 0).numpy()
    found = of(pixels)
    percentiles = [found[f"luminance_{one}"] for one in (1, 5, 99)]
    np.testing.assert_allclose(percentiles, [0.07411, 0.17346, 0.92829], atol=5e-6)
    assert found["entropy"] == pytest.approx(8.249409, abs=2e-5)
    shares = np.concatenate([np.bincount(pixels[..., one].ravel(), minlength=256) for one in range(3)]) / pixels.size
    assert found["entropy"] == pytest.approx(-(shares[shares > 0] * np.log2(shares[shares > 0])).sum(), rel=1e-6)


def test_every_property_is_measured() -> None:
    assert set(picture_properties(Image.new("RGB", (9, 5)))) == {*PROPERTIES, *HEALTH}


def test_closed_forms() -> None:
    halves = np.zeros((32, 32, 3))
    halves[:, 16:] = 255
    found = of(halves)
    assert found["contrast"] == pytest.approx(0.5)
    assert found["brightness"] == pytest.approx(0.5)
    assert found["colorfulness"] == 0
    # Of 30 x 30 inner pixels two columns have a neighbor on the other side: |4x - sum| = 255.
    assert found["sharpness"] == pytest.approx(2 / 30 / 8)
    assert found["entropy"] == pytest.approx(np.log2(6))  # of six bins, two in each channel
    ramp = np.zeros((40, 20, 3))
    ramp[..., 1] = 200
    assert of(ramp)["hue"] == pytest.approx(85 / 256)
    assert of(ramp)["saturation"] == 1
    assert (of(ramp)["aspect"], of(ramp)["size"]) == (0.5, pytest.approx(800**0.5))


def test_channel_by_channel_is_the_plain_formula() -> None:
    pixels = data.coffee()
    found, (height, width) = of(pixels), pixels.shape[:2]
    light = np.sqrt(sum(weight * pixels[..., at] ** 2.0 for at, weight in enumerate((0.241, 0.691, 0.068)))) / 255
    assert found["contrast"] == light.std()
    assert [found[f"luminance_{one}"] for one in (1, 5, 99)] == np.percentile(light, (1, 5, 99)).tolist()
    assert found["colorfulness"] == (pixels.max(2) - pixels.min(2)).max() / 255
    wide = min(height, width) // 16
    border = np.ones((height, width), bool)
    border[wide:-wide, wide:-wide] = False
    assert [found[f"border_{one}"] for one in ("red", "green", "blue")] == (pixels[border].mean(0) / 255).tolist()
    grey = pixels.mean(2, dtype=np.float32)
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    assert found["sharpness"] == float(np.abs(4 * grey[1:-1, 1:-1] - around).mean()) / (8 * 255)
    values = np.asarray(Image.fromarray(pixels).convert("HSV")).astype(np.float64)
    assert found["saturation"] == values[..., 1].mean() / 255


def test_hue_is_an_angle() -> None:
    # Reds on both sides of zero: their mean is red, not the cyan half way between 5 and 250.
    reds = np.zeros((8, 8, 3))
    reds[..., 0] = 250
    reds[:4, :, 1] = reds[4:, :, 2] = 30
    hue = of(reds)["hue"]
    assert min(hue, 1 - hue) < 0.02


def test_the_border_has_its_own_color() -> None:
    framed = np.full((64, 64, 3), 128)
    framed[4:-4, 4:-4] = (255, 0, 0)
    assert [of(framed)[f"border_{one}"] for one in ("red", "green", "blue")] == pytest.approx([128 / 255] * 3)


def test_blur_lowers_the_score_below_the_threshold() -> None:
    picture = Image.fromarray(data.astronaut())
    scores = [picture_properties(picture.filter(ImageFilter.GaussianBlur(one)))["blur_score"] for one in (0, 4, 16)]
    assert scores[0] > scores[1] > scores[2]
    assert scores[0] > 0.29 > scores[2]
    sharp, soft = (picture_properties(picture.filter(ImageFilter.GaussianBlur(one)))["sharpness"] for one in (0, 2))
    assert sharp > 3 * soft


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (3000, 1), (2, 2)])
def test_odd_shapes_have_finite_properties(size: tuple[int, int]) -> None:
    found = picture_properties(Image.new("RGB", size, (10, 20, 30)))
    assert all(np.isfinite(list(found.values())))
    assert (found["width"], found["height"]) == size


def test_large_pictures_are_measured_alike() -> None:
    small = Image.fromarray(data.astronaut())
    large = small.resize((2 * LONGEST, 2 * LONGEST), Image.Resampling.BICUBIC)
    first, second = picture_properties(small), picture_properties(large)
    for name in ("brightness", "contrast", "saturation", "luminance_5", "border_red"):
        assert second[name] == pytest.approx(first[name], abs=0.02), name
    assert second["size"] == 2 * LONGEST


@pytest.mark.parametrize("quality", [10, 50, 75, 90, 97])
def test_jpeg_quality_of_a_file(tmp_path: Path, quality: int) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(data.astronaut()).save(path, quality=quality)
    assert picture_properties(open_picture(path))["jpeg_quality"] == pytest.approx(quality, abs=1.5)
    png = tmp_path / "a.png"
    Image.fromarray(data.astronaut()).save(png)
    source = from_paths([png, path])
    found = [picture_properties(whole(source, row))["jpeg_quality"] for row in range(2)]
    assert found == [100, pytest.approx(quality, abs=1.5)]


def test_hostile_tables_have_a_quality(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(data.astronaut()).save(path, qtables=[[255] * 64, [1] * 64])
    assert 1 <= picture_properties(open_picture(path))["jpeg_quality"] <= 20


def test_the_whole_picture_is_found_below_what_made_it_fit() -> None:
    from backlight.data import Dataset

    images = torch.arange(2 * 3 * 6 * 8, dtype=torch.int64).remainder(256).to(torch.uint8).view(2, 3, 6, 8)
    fitting = Dataset.of(images).resized(Resize(None, (4, 4))).with_channels(1).take([1])
    found = np.asarray(whole(fitting.pictures, 0))
    np.testing.assert_array_equal(found, images[1].permute(1, 2, 0).numpy())
    assert whole(Memory(images[:, :1]), 0).mode == "L"
