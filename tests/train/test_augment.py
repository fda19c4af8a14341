"""Augmentation: drawn per picture, by keys; the classic recipe equals torchvision with the same parameters."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as reference

from backlight.core.errors import UsageError
from backlight.core.random import Random
from backlight.train.augment import Augmentation
from backlight.train.recipe import CLASSIC

IDS = torch.arange(100, 112)
IMAGES = Random(0, IDS).uniform(3, 16, 16)
EVERYTHING = Augmentation(
    flip="random", crop=2, degrees=9, scale=(0.8, 1.2), translate=0.1, brightness=(0.8, 1.2), contrast=(0.8, 1.2),
    saturation=(0.8, 1.2), hue=0.1, cutout=5, torchvision=("RandomInvert:p=0.5",),
)  # fmt: skip


def test_the_classic_recipe_is_torchvision_with_the_same_parameters() -> None:
    found = CLASSIC.augment.apply(IMAGES, IDS, seed=3, epoch=2)
    draws = Random((3, "augment"), IDS, 2)
    flipped = draws.integer(2, stream="flip") == 1
    degrees = -5 + 10 * draws.uniform(stream="degrees")
    scale, bright, color = (
        0.8 + (1.2 - 0.8) * draws.uniform(stream=name) for name in ("scale", "brightness", "saturation")
    )

    def one(image: Tensor, i: int) -> Tensor:
        image = reference.horizontal_flip(image) if flipped[i] else image
        image = reference.affine(
            image, float(degrees[i]), [0, 0], float(scale[i]), [0, 0], interpolation=InterpolationMode.BILINEAR
        )
        return reference.adjust_saturation(reference.adjust_brightness(image, float(bright[i])), float(color[i]))

    expected = torch.stack([one(image, i) for i, image in enumerate(IMAGES)])
    assert float((found - expected).abs().max()) <= 1e-5
    assert len(flipped.unique()) == 2


def test_the_batch_and_its_order_do_not_matter() -> None:
    whole = EVERYTHING.apply(IMAGES, IDS, seed=1, epoch=4)
    order = torch.randperm(len(IDS), generator=torch.Generator().manual_seed(0))
    assert torch.equal(EVERYTHING.apply(IMAGES[order], IDS[order], seed=1, epoch=4), whole[order])
    for i in range(0, len(IDS), 5):
        part = EVERYTHING.apply(IMAGES[i : i + 5], IDS[i : i + 5], seed=1, epoch=4)
        assert torch.allclose(part, whole[i : i + 5], atol=1e-6)
    assert not torch.equal(EVERYTHING.apply(IMAGES, IDS, seed=1, epoch=5), whole)
    assert not torch.equal(EVERYTHING.apply(IMAGES, IDS, seed=2, epoch=4), whole)


def test_values_stay_in_range_and_the_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    changed = EVERYTHING.apply(IMAGES, IDS, seed=1, epoch=0)
    assert torch.equal(before, torch.get_rng_state())
    assert 0 <= float(changed.min()) <= float(changed.max()) <= 1
    assert torch.equal(Augmentation().apply(IMAGES, IDS, seed=1, epoch=0), IMAGES)


def test_alternating_flips_show_both_sides_in_two_epochs() -> None:
    flips = Augmentation(flip="alternating")
    first, second, third = (flips.apply(IMAGES, IDS, seed=0, epoch=epoch) for epoch in range(3))
    assert torch.equal(first.flip(3), second)
    assert torch.equal(first, third)
    mirrored = (first != IMAGES).flatten(1).any(1)
    assert 0 < int(mirrored.sum()) < len(IDS)


@pytest.mark.parametrize("kind", [{"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 0.4, "cutmix": 1.0}])
def test_mixing_keeps_account_of_the_share(kind: dict[str, float]) -> None:
    zeros, ones = torch.zeros_like(IMAGES), torch.ones_like(IMAGES)
    mixed, own = Augmentation(**kind).mix(zeros, ones, IDS, seed=0, epoch=0)
    assert torch.allclose(1 - mixed.mean((1, 2, 3)), own, atol=1e-5)
    assert len(own.unique()) > 3
    part, share = Augmentation(**kind).mix(zeros[4:6], ones[4:6], IDS[4:6], seed=0, epoch=0)
    assert torch.equal(part, mixed[4:6])
    assert torch.equal(share, own[4:6])


def test_the_share_of_mixup_is_beta_distributed() -> None:
    from scipy.stats import beta, kstest

    ids = torch.arange(3000)
    _, own = Augmentation(mixup=0.3).mix(torch.zeros(3000, 1, 1, 1), torch.ones(3000, 1, 1, 1), ids, seed=0, epoch=0)
    assert kstest(own.numpy(), beta(0.3, 0.3).cdf).pvalue > 0.01


WRONG: list[dict[str, object]] = [
    {"flip": "sometimes"}, {"scale": (0.0, 1.0)}, {"brightness": (1.2, 0.8)}, {"crop": -1}, {"hue": 0.7},
    {"translate": 2.0}, {"torchvision": ("RandAugmant",)}, {"torchvision": ("RandAugment:colour=3",)},
    {"torchvision": ("functional",)},
]  # fmt: skip


@pytest.mark.parametrize("values", WRONG, ids=str)
def test_values_that_make_no_sense(values: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Augmentation(**values)  # type: ignore[arg-type]


def test_corruptions_are_keyed_by_picture_and_epoch() -> None:
    pictures, ids = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)), torch.arange(4)
    for spec in ("augmix", "corruptions:kinds=noise,share=1.0", "gaussian:sigma=0.1"):
        augmentation = Augmentation(corruption=spec)
        whole = augmentation.apply(pictures, ids, seed=0, epoch=1)
        assert torch.equal(augmentation.apply(pictures[1:3], ids[1:3], seed=0, epoch=1), whole[1:3])
        assert not torch.equal(augmentation.apply(pictures, ids, seed=0, epoch=2), whole)


def test_an_unknown_corruption_is_told_before_training() -> None:
    with pytest.raises(UsageError, match="augmix"):
        Augmentation(corruption="augmax")
