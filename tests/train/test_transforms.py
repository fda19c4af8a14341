"""Batched transforms against torchvision, one image at a time with the same parameters."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as reference

from backlight.core.random import Random
from backlight.train import transforms

COUNT = 8


@pytest.fixture(params=[(3, 32, 32), (3, 17, 24), (1, 9, 8)], ids=str)
def images(request: pytest.FixtureRequest) -> Tensor:
    return Random(0, torch.arange(COUNT)).uniform(*request.param)


def _draw(low: float, high: float, *shape: int) -> Tensor:
    return low + (high - low) * Random("test", torch.arange(COUNT)).uniform(*shape)


def _one_by_one(images: Tensor, change: Callable[[Tensor, int], Tensor]) -> Tensor:
    return torch.stack([change(image, i) for i, image in enumerate(images)])


def _close(found: Tensor, expected: Tensor) -> None:
    assert found.shape == expected.shape
    assert float((found - expected).abs().max()) <= 1e-5


def test_flip(images: Tensor) -> None:
    flipped = _draw(0, 1) < 0.5
    assert 0 < int(flipped.sum()) < COUNT
    expected = _one_by_one(images, lambda image, i: reference.horizontal_flip(image) if flipped[i] else image)
    _close(transforms.flip(images, flipped), expected)


def test_affine(images: Tensor) -> None:
    degrees, scale = _draw(-30, 30), _draw(0.7, 1.4)
    shift = _draw(-3, 3, 2)

    def change(image: Tensor, i: int) -> Tensor:
        return reference.affine(
            image,
            angle=float(degrees[i]),
            translate=[float(shift[i, 0]), float(shift[i, 1])],
            scale=float(scale[i]),
            shear=[0.0, 0.0],
            interpolation=InterpolationMode.BILINEAR,
        )

    _close(transforms.affine(images, degrees, shift, scale), _one_by_one(images, change))


@pytest.mark.parametrize(
    ("ours", "theirs", "low", "high"),
    [
        (transforms.brightness, reference.adjust_brightness, 0.2, 1.8),
        (transforms.contrast, reference.adjust_contrast, 0.2, 1.8),
        (transforms.saturation, reference.adjust_saturation, 0.2, 1.8),
        (transforms.hue, reference.adjust_hue, -0.5, 0.5),
    ],
)
def test_colors(
    images: Tensor, ours: Callable[..., Tensor], theirs: Callable[..., Tensor], low: float, high: float
) -> None:
    factor = _draw(low, high)
    _close(ours(images, factor), _one_by_one(images, lambda image, i: theirs(image, float(factor[i]))))


def test_hue_of_grey_and_pure_colors() -> None:
    corners = torch.cartesian_prod(*[torch.tensor([0.0, 0.5, 1.0])] * 3).view(-1, 3, 1, 1)
    turn = torch.full((len(corners),), 0.1)
    _close(transforms.hue(corners, turn), reference.adjust_hue(corners, 0.1))


def test_crop_with_reflected_borders(images: Tensor) -> None:
    offsets = Random(1, torch.arange(COUNT)).integer(5, 2)
    height, width = images.shape[2:]

    def change(image: Tensor, i: int) -> Tensor:
        padded = reference.pad(image, [2, 2, 2, 2], padding_mode="reflect")
        return reference.crop(padded, int(offsets[i, 0]), int(offsets[i, 1]), height, width)

    _close(transforms.shift_crop(images, offsets, 2), _one_by_one(images, change))


def test_cutout_reaches_over_the_border(images: Tensor) -> None:
    center = Random(2, torch.arange(COUNT)).integer(8, 2)

    def change(image: Tensor, i: int) -> Tensor:
        top, left = (int(value) - 2 for value in center[i])
        high, wide = 4 + min(top, 0), 4 + min(left, 0)
        return reference.erase(image, max(top, 0), max(left, 0), high, wide, torch.tensor(0.5))

    _close(transforms.cutout(images, center, 4), _one_by_one(images, change))


def test_mix_and_paste_keep_the_share(images: Tensor) -> None:
    share = _draw(0, 1)
    mixed = transforms.mix(images, images.flip(0), share)
    expected = [float(share[i]) * images[i] + (1 - float(share[i])) * images[COUNT - 1 - i] for i in range(COUNT)]
    _close(mixed, torch.stack(expected))
    low, high = torch.full((COUNT, 2), 1), torch.full((COUNT, 2), 5)
    pasted, own = transforms.paste(torch.zeros_like(images), torch.ones_like(images), low, high)
    assert torch.equal(pasted[:, :, 1:5, 1:5], torch.ones_like(pasted[:, :, 1:5, 1:5]))
    _close(own, 1 - pasted.mean((1, 2, 3)))
