"""The distance by the model's own features against its closed form."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from backlight.classifier import Classifier
from backlight.core.errors import ModelError
from backlight.pixels.own_features import OwnFeatures
from backlight.pixels.view import View


def two_channels() -> Classifier:
    """A net whose one layer of maps is the picture's first two channels, as they are."""
    net = nn.Sequential(nn.Conv2d(3, 2, 1, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2)).double()
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[1.0, 0, 0], [0, 1.0, 0]]).view(2, 3, 1, 1))
    return Classifier.from_module(net, size=2)


def test_the_distance_is_the_closed_form() -> None:
    features = OwnFeatures.of(two_channels())
    assert features.layers == ("1",)
    originals = torch.zeros(1, 3, 2, 2, dtype=torch.float64)
    originals[:, 0] = torch.tensor([[0.3, 0.6], [0.9, 0.2]])  # every position points along the first channel
    images = originals.clone()
    images[0, :2, 0, 0] = torch.tensor([0.0, 0.7])  # turned by 90 degrees
    images[0, 0, 1, 1] = 0.8  # longer, in the same direction: no change
    images[0, 2] = 0.5  # what the layer does not see
    expected = (2 / 4) ** 0.5  # |(1,0) - (0,1)|^2 at one of four positions
    assert float(features.distance(images, originals)) == pytest.approx(expected, abs=1e-9)
    assert float(features.distance(originals, originals)) == 0
    view = View(features.classifier, images, layers=features.layers)
    assert float(features.measure(originals)(view)) == pytest.approx(expected, abs=1e-9)


def test_layers_count_alike_and_each_resolution_gives_its_last() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 3),
    ).double()
    features = OwnFeatures.of(Classifier.from_module(net, size=8))
    assert features.layers == ("3", "6")
    one, other = torch.rand(2, 5, 3, 8, 8, dtype=torch.float64).unbind()
    squares = 0
    for layer in (4, 7):
        a, b = (net[:layer](features.classifier.normalize(images)) for images in (one, other))
        a, b = (act / (act.square().sum(1, keepdim=True).sqrt() + 1e-10) for act in (a, b))
        squares = squares + (a - b).square().sum(1).mean((1, 2))
    torch.testing.assert_close(features.distance(one, other), squares.sqrt())


def test_the_distance_of_a_picture_does_not_depend_on_its_batch() -> None:
    features = OwnFeatures.of(two_channels())
    one, other = torch.rand(2, 5, 3, 2, 2, dtype=torch.float64).unbind()
    whole = features.distance(one, other)
    assert torch.equal(whole[2:3], features.distance(one[2:3], other[2:3]))
    assert len(features.distance(one[:0], other[:0])) == 0


def test_tokens_are_compared_over_their_last_axis_and_no_maps_are_needed() -> None:
    class Tokens(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.flatten(2).mT

    net = nn.Sequential(Tokens(), nn.Linear(3, 5), nn.Flatten(), nn.Linear(20, 2)).double()
    features = OwnFeatures.of(Classifier.from_module(net, size=2))
    assert features.layers == ("0", "1", "2")
    lengths = features.look(torch.rand(4, 3, 2, 2, dtype=torch.float64)).square().sum(1)
    torch.testing.assert_close(lengths, torch.full((4,), 3.0, dtype=torch.float64))


def test_a_model_without_layers_is_refused_in_a_sentence() -> None:
    with pytest.raises(ModelError, match="has no layers that can be seen"):
        OwnFeatures.of(Classifier.from_module(nn.Flatten(), size=2))
