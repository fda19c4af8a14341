"""Kinds without randomness against vectors that were computed with scikit-image, scipy and Pillow."""

from __future__ import annotations

import pytest
import torch

from backlight.core.random import Random
from backlight.corrupt.blurs import disk, gaussian_blur, motion_weights
from backlight.corrupt.colors import contrast, saturate
from backlight.corrupt.digital import jpeg, pixelate
from backlight.corrupt.weather import brightness
from tests.corrupt.pictures import pattern

NOTHING = Random(0, [0])
# (function, constants, mean per channel, pixel (row 10, column 20), pixel (40, 7), tolerance in levels)
VECTORS = [
    (contrast, (0.2,), (126, 126, 126.8125), (116.8, 108.8, 123.45), (106.4, 132.8, 145.65), 1e-3),
    (brightness, (0.3,), (158.4108, 156.3399, 161.3786), (135.636, 67.818, 186.5), (32.308, 184.615, 255), 1e-3),
    (saturate, (2, 0), (99.6118, 101.5819, 99.9883), (62.857, 0, 110), (0, 151.15, 221), 1e-3),
    (saturate, (0.3, 0), (170.2244, 170.2244, 170.4682), (101, 89, 110), (163.1, 202.7, 221), 1e-3),
    (gaussian_blur, (1,), (126, 126, 126.8164), (80, 40, 110), (28, 160, 221), 0.01),
    (pixelate, (0.4,), (126, 126, 127.147), (84, 44, 118), (24, 156, 213), 1e-3),
    (jpeg, (15,), (126.0442, 125.8835, 126.8865), (83, 36, 117), (41, 165, 216), 1.001),
    (jpeg, (65,), (125.9272, 126.1892, 127.0081), (78, 42, 112), (26, 163, 207), 1.001),
]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda one: f"{one[0].__name__}-{one[1][0]}")
def test_published_vectors(vector: tuple) -> None:
    function, constants, mean, first, second, tolerance = vector
    found = function(pattern(), constants, NOTHING)[0].double().clamp(0, 1) * 255
    assert found.mean((1, 2)).tolist() == pytest.approx(mean, abs=max(2e-3, tolerance / 4))
    assert found[:, 10, 20].tolist() == pytest.approx(first, abs=tolerance)
    assert found[:, 40, 7].tolist() == pytest.approx(second, abs=tolerance)


def test_the_pattern_is_that_of_the_vectors() -> None:
    assert (pattern()[0] * 255).mean((1, 2)).tolist() == pytest.approx((126, 126, 126.8125), abs=1e-3)


@pytest.mark.parametrize(("radius", "cells"), [(3, 29), (6, 113)])
def test_cells_of_disks(radius: int, cells: int) -> None:
    assert int((disk(radius, 0) > 0).sum()) == cells


@pytest.mark.parametrize(
    ("radius", "sigma", "total"), [(3, 0.1, 1), (6, 0.5, 1), (0.3, 0.4, 1), (8, 0.5, 1.0130), (10, 0.5, 1.0108)]
)
def test_disks_sum_to_one_unless_they_touch_their_border(radius: float, sigma: float, total: float) -> None:
    kernel = disk(radius, sigma)
    assert float(kernel.sum()) == pytest.approx(total, abs=1e-4)
    assert torch.allclose(kernel, kernel.flip(0, 1).T)


@pytest.mark.parametrize(
    ("radius", "sigma", "weights"),
    [(10, 3, (0.234745, 0.222059, 0.187969, 0.14238)), (6, 1, (0.570348, 0.345934, 0.077188, 0.006336))],
)
def test_weights_of_motion(radius: int, sigma: float, weights: tuple[float, ...]) -> None:
    found = motion_weights(radius, sigma)
    assert found[:4].tolist() == pytest.approx(weights, abs=1e-6)
    assert float(found.sum()) == pytest.approx(1, abs=1e-12)
