"""Any class of captum: the same as calling captum itself, and nothing of the network is touched."""

from __future__ import annotations

import importlib.util
import random as python_random
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from backlight.core.errors import ModelError, UsageError
from backlight.core.random import Random
from backlight.explain import Contrast, explain, method
from backlight.explain.methods import captum_classes
from backlight.testing import unchanged
from tests.explain.nets import MEAN, ReusedReLU, distinct_relu_net, images, wrap
from tests.explain.peers import captum

lrp_rules = pytest.importorskip("captum.attr._utils.lrp_rules")


@pytest.mark.parametrize("name", ["DeepLift", "InputXGradient", "LRP", "GuidedBackprop", "Saliency"])
def test_in_the_input_space_it_is_captum_itself(name: str) -> None:
    net, x = distinct_relu_net(), images(3)
    classifier = wrap(net)
    spec = f"captum:{name}"
    with unchanged(net):
        found = explain(classifier, x, torch.tensor([1, 2, 0]), methods=[spec], space="input", chunk=2)[spec]
    options: dict[str, Any] = {"abs": False} if name == "Saliency" else {}
    inputs = classifier.normalize(x).requires_grad_(True)
    if name == "LRP":
        net[8].rule = lrp_rules.EpsilonRule()  # captum has none for nn.Flatten; ours is given that on a copy
    expected = captum(name, net, inputs, target=torch.tensor([1, 2, 0]), **options).detach()
    assert torch.allclose(found.attributions, expected, atol=1e-6 * float(expected.abs().max()))
    assert found.forwards >= 2


@pytest.mark.parametrize("name", ["DeepLift", "InputXGradient"])
def test_in_pixel_space_the_normalization_is_a_step_of_the_network(name: str) -> None:
    net, x = distinct_relu_net(), images(2)
    classifier = wrap(net)
    options = {"baseline": "white"} if name == "DeepLift" else {}
    (found,) = explain(classifier, x, 1, methods=[method(f"captum:{name}", **options)]).values()
    first = nn.Conv2d(3, 3, 1, groups=3).double()
    with torch.no_grad():
        mean, std = torch.tensor(MEAN).double(), torch.tensor(classifier.std).double()
        first.weight.copy_((1 / std).view(3, 1, 1, 1))
        first.bias.copy_(-mean / std)
    given = {"baselines": torch.ones_like(x)} if options else {}
    expected = captum(name, nn.Sequential(first, *net), x.clone().requires_grad_(True), target=1, **given).detach()
    assert torch.allclose(found.attributions, expected, atol=1e-6 * float(expected.abs().max()))


def test_gradient_shap_is_captum_with_keyed_numbers_one_image_at_a_time() -> None:
    net, x, random = distinct_relu_net(), images(2), Random(0, ["a", "b"])
    classifier = wrap(net)
    spec = "captum:GradientShap:n_samples=4,stdevs=0.1"
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    found = explain(classifier, x, 1, methods=[spec], space="input", random=random)[spec].attributions
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.random.get_state()[1].tolist() == numpy_state  # noqa: NPY002
    alone = explain(classifier, x[1:], 1, methods=[spec], space="input", random=Random(0, ["b"]))[spec].attributions
    assert torch.allclose(alone, found[1:], atol=1e-10)
    other = explain(classifier, x, 1, methods=[spec], space="input", random=Random(1, ["a", "b"]))[spec].attributions
    assert not torch.allclose(other, found)
    inputs = classifier.normalize(x)
    with captum_classes._keyed_generators(random.take(slice(1, 2)).fork("GradientShap")):
        options = {"target": 1, "n_samples": 4, "stdevs": 0.1}
        expected = captum("GradientShap", net, inputs[1:], baselines=torch.zeros_like(inputs[1:]), **options)
    assert torch.allclose(found[1:], expected.detach(), atol=1e-6 * float(expected.abs().max()))


@pytest.mark.parametrize(
    "spec", ["captum:FeatureAblation:segments=6", "captum:ShapleyValueSampling:n_samples=3,segments=5"]
)
def test_regions_are_superpixels_and_a_linear_model_gives_their_shares(spec: str) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(768, 2)).double()
    classifier, x = wrap(net), images(1)
    found = explain(classifier, x, 0, methods=[spec], chunk=3)[spec].attributions
    regions = captum_classes.superpixels(x[0], 6 if "Ablation" in spec else 5)
    hidden = torch.tensor(MEAN, dtype=torch.float64).view(1, 3, 1, 1)
    for region in range(int(regions.max()) + 1):
        without = torch.where(regions == region, hidden, x)
        change = float((classifier.logits(x) - classifier.logits(without))[0, 0])
        assert found[0, 0][regions == region].tolist() == pytest.approx([change] * int((regions == region).sum()))


@pytest.mark.parametrize("name", ["LayerGradientXActivation", "LayerConductance", "LayerGradCam"])
def test_classes_that_read_a_layer_use_the_one_that_is_chosen(name: str) -> None:
    net, x = distinct_relu_net(), images(2)
    found = explain(wrap(net), x, 1, methods=[f"captum:{name}"])[f"captum:{name}"]
    assert found.layer == "6"
    assert found.heatmap().shape == (2, 16, 16)


def test_contrasts_quantities_and_functions_are_targets() -> None:
    classifier, x = wrap(distinct_relu_net()), images(2)
    spec = "captum:InputXGradient"
    for target, quantity in (
        (Contrast(1, 2), "logit"),
        ("second", "probability"),
        (lambda logits: logits[:, 3], "logit"),
    ):
        ours = explain(classifier, x, target, methods=["gradient_x_input", spec], quantity=quantity)
        assert torch.allclose(ours[spec].attributions, ours["gradient_x_input"].attributions, atol=1e-10)


def test_rectifiers_in_place_are_no_hindrance_and_reused_ones_are_told() -> None:
    source = distinct_relu_net()
    inplace = nn.Sequential(*(nn.ReLU(inplace=True) if isinstance(part, nn.ReLU) else part for part in source))
    (plain, found) = (explain(wrap(net), images(1), 1, methods=["captum:DeepLift"]) for net in (source, inplace))
    assert torch.allclose(found["captum:DeepLift"].attributions, plain["captum:DeepLift"].attributions)
    assert inplace[1].inplace
    with pytest.raises(ModelError, match="'relu' runs several times"):
        explain(wrap(ReusedReLU(source)), images(1), 1, methods=["captum:DeepLift"])


def test_what_captum_cannot_do_is_said_in_its_own_words() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Hardswish(), nn.Flatten(), nn.Linear(784, 2))
    with pytest.raises(ModelError, match="captum's LRP cannot explain Sequential"):
        explain(wrap(net), images(1), methods=["captum:LRP"])


def test_wrong_names_and_options_have_near_ones_and_captum_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="DeepLift"):
        method("captum:DeepLfit")
    with pytest.raises(UsageError, match="n_samples"):
        method("captum:GradientShap:n_sample=3")
    with pytest.raises(UsageError, match="try: occlusion"):
        method("captum:Occlusion")
    for name in ("NeuronGradient", "NoiseTunnel", "Attribution", "FeaturePermutation", "__class__"):
        with pytest.raises(UsageError):
            method(f"captum:{name}")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"backlight\[captum\]"):
        method("captum:DeepLift")


def test_python_s_own_generator_is_left_alone() -> None:
    before = python_random.getstate()
    explain(wrap(distinct_relu_net()), images(1), methods=["captum:Lime:n_samples=5,segments=4"])
    assert python_random.getstate() == before
