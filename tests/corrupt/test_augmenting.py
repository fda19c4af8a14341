"""Augmentation by corruptions: AugMix' parts against Pillow, keyed draws, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from backlight.core.errors import UsageError
from backlight.core.random import Random
from backlight.corrupt.augmenting import RandomCorruption, corrupt_some, read_augmenter
from backlight.corrupt.augmix import augmix, autocontrast, equalize, posterize, solarize
from backlight.corrupt.corrupting import corrupt
from tests.corrupt.pictures import bytes_of, photographs

ONE = torch.ones(1)


@pytest.mark.parametrize(
    ("ours", "theirs", "strength"),
    [
        (autocontrast, ImageOps.autocontrast, 0.3),
        (equalize, ImageOps.equalize, 0.3),
        (posterize, lambda one: ImageOps.posterize(one, 3), 0.3),
        (solarize, lambda one: ImageOps.solarize(one, 256 - 64), 0.25),
    ],
)
def test_operations_are_pillows(ours, theirs, strength: float) -> None:
    image = photographs(1, 64)
    expected = np.asarray(theirs(Image.fromarray(bytes_of(image)[0])), dtype=int)
    found = bytes_of(ours(image, strength * ONE).clamp(0, 1))[0].astype(int)
    assert np.abs(found - expected).max() <= 1


def test_mixtures_stay_in_range_and_depend_on_the_picture_alone() -> None:
    images = photographs(4, 32)
    whole = augmix(images, Random(5, ["a", "b", "c", "d"]))
    assert torch.allclose(augmix(images[2:3], Random(5, ["c"])), whole[2:3], atol=1e-6)
    assert -1e-6 <= float(whole.min()) <= float(whole.max()) <= 1 + 1e-6
    assert all(float((whole[row] - images[row]).abs().mean()) > 1e-4 for row in range(4))
    assert not torch.equal(whole, augmix(images, Random(6, ["a", "b", "c", "d"])))


def test_weak_mixtures_change_less() -> None:
    images, random = photographs(4, 32).repeat(8, 1, 1, 1), Random(0, list(range(32)))
    far = [float((augmix(images, random, severity=one) - images).abs().mean()) for one in (0.2, 9.0)]
    assert far[0] < far[1]


def test_a_share_is_corrupted_each_by_its_own_kind() -> None:
    images, random = photographs(4, 32).repeat(64, 1, 1, 1), Random(0, list(range(256)))
    kinds = ("gaussian_noise", "contrast", "jpeg")
    changed = corrupt_some(images, random, kinds, 3, 0.5)
    touched = (changed - images).abs().amax((1, 2, 3)) > 0
    assert 0.35 < float(touched.float().mean()) < 0.65
    row = int(touched.nonzero()[0])
    options = [
        corrupt(images[row : row + 1], kind, level, random=random.take(slice(row, row + 1)))
        for kind in kinds
        for level in (1, 2, 3)
    ]
    assert sum(torch.equal(one[0], changed[row]) for one in options) == 1


def test_gaussian_noise_is_not_cut() -> None:
    found = read_augmenter("gaussian:sigma=0.5")(torch.zeros(4, 3, 32, 32), Random(0, [1, 2, 3, 4]))
    assert float(found.std()) == pytest.approx(0.5, rel=0.03)
    assert float(found.min()) < -0.5


def test_a_transform_for_other_pipelines() -> None:
    images = photographs(4, 32)
    batch = RandomCorruption(("fog", "shot_noise"))(images)
    one_by_one = RandomCorruption(("fog", "shot_noise"))
    assert torch.equal(torch.stack([one_by_one(image) for image in images]), batch)


@pytest.mark.parametrize(
    "spec",
    ["augmixx", "augmix:strength=3", "augmix:severity=11", "gaussian:sigma=0", "corruptions:kinds=rain"]
    + ["corruptions:severity=9", "corruptions:share=0", "corruptions:severity=x"],
)
def test_wrong_specifications_are_told(spec: str) -> None:
    with pytest.raises(UsageError):
        read_augmenter(spec)
