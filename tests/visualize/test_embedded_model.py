"""What the embedded model's pictures must reach, on real photographs and judged by a second network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from backlight import load
from backlight.classifier import Classifier
from backlight.visualize import class_image, dream, feature_image, fooling_image, invert

pytestmark = pytest.mark.slow

LAYER = "blocks.3"


@pytest.fixture(scope="module")
def model() -> Classifier:
    return load()


@pytest.fixture(scope="module")
def photographs(model: Classifier, real_data: Path) -> Tensor:
    paths = sorted((real_data / "imagenet_sample").glob("*.jpg"))[::5]
    return torch.stack([model.read(path).image for path in paths])


def test_a_second_network_names_class_images(model: Classifier) -> None:
    classes = [107, 291, 417]  # jellyfish, lion, balloon
    made = class_image(model, classes, steps=96)
    judge = load("efficientnet_lite1")
    shown = torch.nn.functional.interpolate(made.images, size=judge.size, mode="bilinear", antialias=True)
    with torch.no_grad():
        assert judge.logits(shown.clamp(0, 1)).argmax(1).tolist() == classes


def test_a_channel_image_excites_its_channel_more_than_99_of_100_photographs(
    model: Classifier, photographs: Tensor
) -> None:
    made = feature_image(model, LAYER, [0, 7], steps=48)
    natural = torch.cat(
        [model.features(part, [LAYER])[LAYER].mean((2, 3))[:, [0, 7]].detach() for part in photographs.split(20)]
    )
    reached = model.features(made.images, [LAYER])[LAYER].mean((2, 3))[:, [0, 7]].diagonal()
    assert bool(((natural < reached).float().mean(0) > 0.99).all())


def test_inversion_comes_within_a_tenth_of_the_features(model: Classifier, photographs: Tensor) -> None:
    made = invert(model, photographs[:1], LAYER, steps=128)
    assert bool((made.terms[0].after < 0.1 * made.terms[0].before).all())


def test_a_dream_raises_its_layer_in_every_octave(model: Classifier, photographs: Tensor) -> None:
    made = dream(model, photographs[:1], LAYER)
    assert len(made.terms) > 1
    assert all(bool((term.after > term.before).all()) for term in made.terms)


@pytest.mark.parametrize("preset", ["confident", "cs231n"])
def test_photographs_are_taken_for_any_class(model: Classifier, photographs: Tensor, preset: str) -> None:
    images = photographs[:4]
    targets = [5, 404, 817, 949]
    made = fooling_image(model, images, targets, preset=preset)
    assert bool(made.success.all())
    assert model.logits(made.images).argmax(1).tolist() == targets
    assert float(made.distance.max()) < 10
