"""Faults found in other tools that make pictures, each as a test that it is not one of ours."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from backlight.classifier import Classifier
from backlight.core.errors import ModelError
from backlight.core.random import Random
from backlight.pixels import Adam, Box, Pixels, View, optimize
from backlight.pixels.features import neuron
from backlight.pixels.measure import Measure
from backlight.pixels.views import Pad, Warp
from backlight.testing import small_net, unchanged
from backlight.visualize import class_image, feature_image


def brightness() -> Measure:
    return Measure(lambda view: view.images.mean((1, 2, 3)), "brightness", layers=())


def test_lucent_hooks_are_removed_and_the_net_is_as_before() -> None:
    net = small_net()
    with unchanged(net):
        feature_image(Classifier.from_module(net, size=16), "4", [0, 1], steps=2)


def test_lucent_a_runtime_error_in_the_network_is_not_swallowed() -> None:
    net = small_net()
    classifier = Classifier.from_module(net, size=16)
    classifier.layers()

    def fail(*_: object) -> None:
        raise RuntimeError("in the middle")

    net[4].register_forward_hook(fail)
    with pytest.raises(ModelError, match="the model itself failed.*in the middle"):
        class_image(classifier, [0], steps=2)


@pytest.mark.parametrize("transform", [Pad(6), Warp(30.0, (0.5, 0.8))], ids=["pad", "warp"])
def test_lucent_no_border_is_black(transform: Pad | Warp) -> None:
    white = torch.ones(4, 3, 16, 16, dtype=torch.float64)
    seen = transform(white, Random(0, list(range(4))), 0)
    assert torch.allclose(seen, torch.ones_like(seen))


def test_lucent_a_position_is_row_and_column_in_this_order() -> None:
    net = nn.Sequential(nn.Identity(), nn.Flatten(), nn.Linear(3 * 4 * 6, 2))
    images = torch.arange(72.0).view(1, 3, 4, 6) / 72
    view = View(Classifier.from_module(net, size=(4, 6)), images, layers={"0"})
    assert torch.equal(neuron("0", 1, (3, 5))(view), images[:, 1, 3, 5])
    assert torch.equal(neuron("0", 2, (1, 4))(view), images[:, 2, 1, 4])


def test_xplique_formulas_do_not_change_their_parts() -> None:
    part = brightness()
    whole = 2 * part + 3 * part
    images = torch.full((1, 3, 2, 2), 0.5)
    for _ in range(2):
        assert float(part.evaluate(None, images)) == pytest.approx(0.5)
        assert float(whole.evaluate(None, images)) == pytest.approx(2.5)
        assert float((whole * 2).evaluate(None, images)) == pytest.approx(5)
    assert repr(part) == "brightness"


def test_utkuozbulak_steps_are_not_rounded_to_whole_levels() -> None:
    start = torch.full((1, 3, 4, 4), 0.5, dtype=torch.float64)
    found = optimize(None, brightness(), Pixels(start), Adam(1e-4), steps=3, constraint=Box(), keep="last")
    moved: Tensor = found.images - start
    assert bool((moved > 0).all())
    assert float(moved.max()) < 0.5 / 255


def test_neural_style_normalizing_changes_the_direction_s_length_not_the_loss_by_a_square() -> None:
    start = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    objective = -Measure(lambda view: view.images.square().sum((1, 2, 3)), "energy", layers=())
    single, many = (
        optimize(None, weight * objective, Pixels(start), Adam(0.01), steps=4, constraint=Box(), keep="last").images
        for weight in (1.0, 1e6)
    )
    # A rule that normalizes gives the same pictures whatever the weight of the whole loss.
    assert torch.allclose(single, many, atol=1e-6)
