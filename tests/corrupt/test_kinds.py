"""Every kind against an oracle: closed forms, brute force, or a library that does one step of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from skimage import color

from backlight.core.random import Random
from backlight.corrupt import CORRUPTIONS, corrupt
from backlight.corrupt.blurs import clipped_zoom, glass_blur, motion_blur, motion_weights, zoom_blur
from backlight.corrupt.colors import saturate
from backlight.corrupt.digital import elastic, pixelate, sample
from backlight.corrupt.filters import filter_pictures
from backlight.corrupt.noise import draw_normal, gaussian_noise, impulse_noise, shot_noise, speckle_noise
from backlight.corrupt.severities import PHOTOGRAPH, SMALL_PICTURE
from backlight.corrupt.spatter import edge_distance, find_edges, spatter
from backlight.corrupt.weather import brightness, fog, frost_like, frost_of, plasma, snow
from backlight.images.blur import gaussian_blur as blur
from tests.corrupt.pictures import bytes_of, pattern, photographs

MANY = Random(3, list(range(16)))
GREY = torch.full((16, 3, 64, 64), 0.4)


def test_normal_numbers_are_normal() -> None:
    drawn = draw_normal(MANY, (3, 64, 64)).double()
    assert abs(float(drawn.mean())) < 5 / drawn.numel() ** 0.5
    assert float(drawn.var()) == pytest.approx(1, abs=5 * (2 / drawn.numel()) ** 0.5)
    assert float((drawn**4).mean()) == pytest.approx(3, abs=0.12)
    assert float((drawn[:, :, :, :-1] * drawn[:, :, :, 1:]).mean()) == pytest.approx(0, abs=5 / drawn.numel() ** 0.5)


def test_gaussian_and_speckle_noise_have_the_variance_of_their_closed_form() -> None:
    plain = gaussian_noise(GREY, (0.05,), MANY) - GREY
    scaled = speckle_noise(GREY, (0.05,), MANY) - GREY
    assert float(plain.std()) == pytest.approx(0.05, rel=0.01)
    assert float(scaled.std()) == pytest.approx(0.05 * 0.4, rel=0.01)


@pytest.mark.parametrize("photons", [3, 60, 500])
def test_shot_noise_is_poisson(photons: int) -> None:
    level = 102 / 255
    counts = (shot_noise(GREY, (photons,), MANY).double() * photons).round()
    expected = level * photons
    assert float(counts.mean()) == pytest.approx(expected, abs=6 * (expected / counts.numel()) ** 0.5)
    assert float(counts.var()) == pytest.approx(expected, rel=0.015)
    assert float((counts == 0).double().mean()) == pytest.approx(float(np.exp(-expected)), abs=0.003)


def test_impulse_noise_makes_half_white_and_half_black() -> None:
    found = impulse_noise(GREY, (0.2,), MANY)
    assert float((found == 1).double().mean()) == pytest.approx(0.1, abs=0.004)
    assert float((found == 0).double().mean()) == pytest.approx(0.1, abs=0.004)
    assert set(found.unique().tolist()) == {0.0, 1.0, float(GREY[0, 0, 0, 0])}


@pytest.mark.parametrize("sigma", [0.4, 1, 6, 170])
@pytest.mark.parametrize(("edges", "mode"), [("replicate", "nearest"), ("symmetric", "reflect"), ("reflect", "mirror")])
def test_blur_is_scipys(sigma: float, edges: str, mode: str) -> None:
    image = pattern()[:, :, :33, :48]
    expected = ndimage.gaussian_filter(image[0, 0].double().numpy(), sigma, mode=mode)
    assert np.allclose(blur(image, sigma, edges)[0, 0], expected, atol=2e-5)


@pytest.mark.parametrize("side", [3, 9])
@pytest.mark.parametrize(("edges", "mode"), [("replicate", "nearest"), ("reflect", "mirror")])
def test_filter_is_scipys_correlation(side: int, edges: str, mode: str) -> None:
    kernel = torch.rand(side, side, generator=torch.Generator().manual_seed(1))
    image = pattern()[:, :, :20, :31]
    expected = ndimage.correlate(image[0, 1].double().numpy(), kernel.double().numpy(), mode=mode)
    found = filter_pictures(image, kernel, edges)
    assert np.allclose(found[0, 1], expected, atol=1e-4)
    several = filter_pictures(image.repeat(2, 1, 1, 1), torch.stack([kernel, kernel.T]), edges)
    assert torch.allclose(several[0], found[0], atol=1e-4)


def test_motion_blur_is_a_sum_of_shifted_pictures() -> None:
    image, random = photographs(1, 64), Random(1, [5])
    angle = float(random.uniform(stream="angle", dtype=torch.float64)[0] * 90 - 45)
    rows, columns = np.arange(64)[:, None], np.arange(64)
    expected = np.zeros((64, 64))
    for step, weight in enumerate(motion_weights(10, 3).tolist()):
        down = int(np.ceil(step * np.sin(np.deg2rad(angle)) - 0.5))
        across = int(np.ceil(step * np.cos(np.deg2rad(angle)) - 0.5))
        shifted = image[0, 0].numpy()[np.clip(rows + down, 0, 63), np.clip(columns + across, 0, 63)]
        expected += weight * shifted
    assert np.allclose(motion_blur(image, (10, 3), random)[0, 0], expected, atol=1e-4)


@pytest.mark.parametrize("factor", [1.05, 1.25, 3.0])
def test_zoom_is_scipys_from_corner_to_corner(factor: float) -> None:
    image = photographs(1, 64)
    side = int(np.ceil(64 / factor))
    start = (64 - side) // 2
    part = image[0, 0, start : start + side, start : start + side].numpy()
    large = ndimage.zoom(part, factor, order=1)
    trim = (large.shape[0] - 64) // 2
    expected = large[trim : trim + 64, trim : trim + 64]
    assert np.allclose(clipped_zoom(image, factor)[0, 0], expected, atol=1e-5)


def brute_glass(image: np.ndarray, shifts: np.ndarray, reach: int) -> np.ndarray:
    height, width = image.shape
    image = image.copy()
    for row in range(height - reach, reach, -1):
        for column in range(width - reach, reach, -1):
            down, across = shifts[0, row, column], shifts[1, row, column]
            image[row, column] = image[row + down, column + across]
    return image


@pytest.mark.parametrize("reach", [1, 2, 4])
def test_glass_copies_neighbours_in_the_published_order(reach: int) -> None:
    image, random = photographs(2, 40), Random(2, [1, 2])
    found = glass_blur(image, (0, reach, 2), random)
    for row in range(2):
        expected = image[row, 0].numpy()
        for number in range(2):
            drawn = random.fork(("glass", number)).integer(2 * reach, 2, 40, 40, stream="shift")[row] - reach
            expected = brute_glass(expected, drawn.numpy(), reach)
        assert np.allclose(found[row, 0], expected, atol=1e-6)


def test_saturation_and_brightness_are_those_of_hsv() -> None:
    image = photographs(1, 64)
    hsv = color.rgb2hsv(image[0].double().permute(1, 2, 0).numpy())
    more = hsv.copy()
    more[..., 1] = np.clip(hsv[..., 1] * 2 + 0.1, 0, 1)
    assert np.allclose(saturate(image, (2, 0.1), MANY)[0].permute(1, 2, 0), color.hsv2rgb(more), atol=1e-5)
    more = hsv.copy()
    more[..., 2] = np.clip(hsv[..., 2] + 0.3, 0, 1)
    assert np.allclose(brightness(image, (0.3,), MANY)[0].permute(1, 2, 0), color.hsv2rgb(more), atol=1e-5)


@pytest.mark.parametrize("share", [0.95, 0.6, 0.25])
@pytest.mark.parametrize("size", [(32, 32), (224, 160)])
def test_pixelation_is_pillows(share: float, size: tuple[int, int]) -> None:
    image = photographs(1, 224)[:, :, : size[0], : size[1]]
    small = Image.fromarray(bytes_of(image)[0]).resize(
        (int(size[1] * share), int(size[0] * share)), Image.Resampling.BOX
    )
    expected = np.asarray(small.resize((size[1], size[0]), Image.Resampling.BOX), dtype=int)
    found = bytes_of(pixelate(image, (share,), MANY))[0].astype(int)
    assert np.abs(found - expected).max() <= 1
    assert (found == expected).mean() > 0.999


def test_sampling_is_scipys() -> None:
    image = photographs(1, 32)
    generator = torch.Generator().manual_seed(0)
    rows, columns = (torch.rand(1, 32, 32, generator=generator) * 50 - 10 for _ in range(2))
    places = np.stack([rows[0].numpy(), columns[0].numpy()])
    for edges, mode in (("symmetric", "reflect"), ("reflect", "mirror"), ("replicate", "nearest")):
        expected = ndimage.map_coordinates(image[0, 1].numpy(), places, order=1, mode=mode)
        assert np.allclose(sample(image, rows, columns, edges)[0, 1], expected, atol=1e-4), edges


def test_elastic_without_shifts_changes_nothing() -> None:
    image = photographs(1, 32)
    assert torch.allclose(elastic(image, (0, 0, 0), Random(0, [1])), image, atol=1e-5)


def test_elastic_moves_a_ramp_by_its_field() -> None:
    ramp = (torch.arange(64.0) / 63).expand(1, 3, 64, 64)
    moved = elastic(ramp, (10, 5, 0), Random(0, [1]))
    inside = (moved - ramp)[..., 12:-12] * 63
    field = blur(Random(0, [1]).words(2, 64, 64, stream="field").float() / 2**15, 5, "symmetric", 3.0) * 10
    assert torch.allclose(inside[0, 0], field[0, 1, :, 12:-12], atol=1e-3)


def brute_plasma(size: int, decay: float, random: Random) -> np.ndarray:
    """Diamond-square point by point, with the numbers that the program draws."""
    cloud, step, wibble = np.zeros((size, size)), size, 100.0
    while step >= 2:
        half = step // 2
        drawn = {
            name: random.words(size // step, size // step, stream=(step, name))[0].double().numpy() / 2**15
            for name in ("square", "across", "down")
        }
        count = size // step
        for i in range(count):
            for j in range(count):
                y, x = i * step, j * step
                four = cloud[y, x] + cloud[(y + step) % size, x] + cloud[y, (x + step) % size]
                four += cloud[(y + step) % size, (x + step) % size]
                cloud[y + half, x + half] = four / 4 + wibble**2 * drawn["square"][i, j]
        for i in range(count):
            for j in range(count):
                y, x = i * step, j * step
                beside = cloud[y, x] + cloud[y, (x + step) % size]
                beside += cloud[y + half, x + half] + cloud[(y - half) % size, x + half]
                cloud[y, x + half] = beside / 4 + wibble**2 * drawn["across"][i, j]
                beside = cloud[y, x] + cloud[(y + step) % size, x]
                beside += cloud[y + half, x + half] + cloud[y + half, (x - half) % size]
                cloud[y + half, x] = beside / 4 + wibble**2 * drawn["down"][i, j]
        step, wibble = half, wibble / decay
    cloud -= cloud.min()
    return cloud / cloud.max()


def test_clouds_are_those_of_diamonds_and_squares() -> None:
    random = Random(4, [9])
    assert np.allclose(plasma(random, 30, 1.7)[0], brute_plasma(32, 1.7, random), atol=1e-6)


def test_fog_keeps_the_brightest_value() -> None:
    image = photographs(4)
    found = fog(image, (1.5, 2), Random(0, [1, 2, 3, 4]))
    assert bool((found.amax((1, 2, 3)) <= image.amax((1, 2, 3)) + 1e-6).all())
    assert float(found.mean()) > float(image.mean())


def test_edges_of_a_square_lie_on_its_border() -> None:
    levels = torch.zeros(1, 1, 20, 20)
    levels[..., 5:15, 5:15] = 255
    rows, columns = find_edges(levels)[0, 0].nonzero().T
    inside = (rows - 9.5).abs().maximum((columns - 9.5).abs())
    assert len(rows) >= 32
    assert bool(((inside >= 4) & (inside <= 6)).all())


def test_distance_to_an_edge_is_euclidean_up_to_its_bound() -> None:
    edges = torch.zeros(1, 1, 40, 40, dtype=torch.bool)
    edges[0, 0, 0, 0] = True
    y, x = torch.arange(40.0)[:, None], torch.arange(40.0)
    assert torch.allclose(edge_distance(edges)[0, 0], (y**2 + x**2).sqrt().clamp(max=20))


def test_water_only_brightens_and_mud_covers() -> None:
    image, random = photographs(4), Random(0, [1, 2, 3, 4])
    assert bool((spatter(image, PHOTOGRAPH["spatter"][2], random) >= image - 1e-6).all())
    muddy = spatter(image, PHOTOGRAPH["spatter"][4], random)
    changed = (muddy - image).abs().amax(1) > 0.01
    assert 0.02 < float(changed.float().mean()) < 0.7


def test_snow_whitens() -> None:
    image = photographs(4)
    assert float(snow(image, PHOTOGRAPH["snow"][0], Random(0, [1, 2, 3, 4])).mean()) > float(image.mean()) + 0.05


def test_frost_mixes_a_part_of_a_photograph() -> None:
    photograph = torch.rand(3, 300, 260, generator=torch.Generator().manual_seed(0))
    found = frost_of([photograph])(torch.zeros(2, 3, 224, 224), (0.7, 0.5), Random(0, [1, 2])) / 0.5
    places = [
        (top, left)
        for top in range(77)
        for left in range(37)
        if torch.allclose(found[0], photograph[:, top : top + 224, left : left + 224], atol=1e-6)
    ]
    assert len(places) == 1
    assert not torch.equal(found[0], found[1])


def test_drawn_frost_is_not_called_frost() -> None:
    assert not CORRUPTIONS["frost_like"].counted
    assert float(frost_like(photographs(1), (1, 0.4), Random(0, [1])).mean()) > float(photographs(1).mean())


@pytest.mark.parametrize(
    "kind", ["gaussian_blur", "defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "pixelate"]
)
@pytest.mark.parametrize("side", [32, 224])
def test_a_constant_picture_stays_as_it_is(kind: str, side: int) -> None:
    flat = torch.full((1, 3, side, side), 100 / 255)
    severity = 3 if kind == "defocus_blur" else 5  # the wider published disks brighten by 1%
    assert torch.allclose(corrupt(flat, kind, severity), flat, atol=1e-6)


@pytest.mark.parametrize("kind", ["gaussian_blur", "defocus_blur", "motion_blur", "zoom_blur", "glass_blur"])
def test_blur_takes_energy(kind: str) -> None:
    image = photographs(2)
    variance = lambda x: float((x[..., 1:] - x[..., :-1]).var())  # noqa: E731
    assert variance(corrupt(image, kind, 3)) < 0.8 * variance(image)


MONOTONE = sorted(set(CORRUPTIONS) - {"snow", "saturate", "elastic", "glass_blur", "spatter", "frost_like"})


@pytest.mark.parametrize("kind", MONOTONE)
def test_distance_grows_with_severity_on_photographs(kind: str) -> None:
    image = photographs(4)
    far = [float((corrupt(image, kind, severity) - image).square().mean()) for severity in (1, 2, 3, 4, 5)]
    assert far == sorted(far)
    assert far[0] > 0


@pytest.mark.parametrize("kind", ["snow", "saturate", "elastic", "glass_blur", "spatter", "frost_like"])
def test_kinds_whose_published_constants_are_not_monotone_change_pictures(kind: str) -> None:
    image = photographs(4)
    assert all(float((corrupt(image, kind, severity) - image).abs().mean()) > 1e-3 for severity in (1, 3, 5))


def test_both_tables_have_every_published_kind() -> None:
    assert set(PHOTOGRAPH) == set(SMALL_PICTURE) == (set(CORRUPTIONS) - {"frost_like"}) | {"frost"}
    assert len(PHOTOGRAPH) == 19
    assert all(len(rows) == 5 for table in (PHOTOGRAPH, SMALL_PICTURE) for rows in table.values())


def test_zoom_blur_takes_the_factors_that_numpy_counts() -> None:
    image = photographs(1, 64)
    factors = np.arange(1, 1.11, 0.01)
    expected = (image + sum(clipped_zoom(image, float(one)) for one in factors)) / (len(factors) + 1)
    assert torch.allclose(zoom_blur(image, (1.11, 0.01), MANY), expected, atol=1e-6)
