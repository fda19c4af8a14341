"""Guided backpropagation and deconvnet by interception, against captum and by hand."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from backlight.classifier.rectifiers import Rectifiers, Switch
from backlight.core.errors import ModelError
from backlight.explain import explain
from tests.explain.nets import MixedReLU, ReusedReLU, distinct_relu_net, images, wrap
from tests.explain.peers import captum

KINDS = {
    "F.relu": lambda x: F.relu(x),
    "F.relu inplace": lambda x: F.relu(x + 0, inplace=True),
    "torch.relu": torch.relu,
    "torch.relu_": lambda x: torch.relu_(x + 0),
    "method": lambda x: x.relu(),
    "method_": lambda x: (x + 0).relu_(),
    "module": nn.ReLU(),
    "module inplace": lambda x: nn.ReLU(inplace=True)(x + 0),
    "clamp": lambda x: x.clamp(min=0),
    "clamp_min_": lambda x: (x + 0).clamp_min_(0),
    "threshold": lambda x: F.threshold(x, 0.0, 0.0),
    "relu6": F.relu6,
    "ReLU6": nn.ReLU6(),
    "ReLU6 inplace": lambda x: nn.ReLU6(inplace=True)(x + 0),
    "hardtanh": lambda x: F.hardtanh(x, 0.0, 6.0),
    "hardtanh_": lambda x: F.hardtanh_(x + 0, 0.0, 6.0),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_spelling_of_a_rectifier_counts_and_follows_the_rule(kind: str) -> None:
    x = torch.tensor([-2.0, 0.5, 3.0, 7.0], requires_grad=True)
    upstream = torch.tensor([1.0, -1.0, 2.0, 3.0])
    with Rectifiers(switch := Switch()):
        output = KINDS[kind](x)
    with torch.no_grad():
        assert torch.equal(output, KINDS[kind](x))
    top = 0.0 if "6" in kind or "hardtanh" in kind else 3.0
    wanted = {"plain": [0.0, -1.0, 2.0, top], "guided": [0.0, 0.0, 2.0, top], "deconvnet": [1.0, 0.0, 2.0, 3.0]}
    for rule, gradient in wanted.items():
        switch.rule = rule
        assert torch.autograd.grad(output, x, upstream, retain_graph=True)[0].tolist() == gradient
    assert sum(switch.rectifiers.values()) == 1


@pytest.mark.parametrize(
    "spell", [lambda x: x.clamp(0, 1), lambda x: x.clamp(min=0.1), lambda x: F.threshold(x, 0.0, 5.0)]
)
def test_other_bounds_are_no_rectifier(spell) -> None:
    x = torch.tensor([-1.0, 0.5], requires_grad=True)
    with Rectifiers(switch := Switch()):
        spell(x)
    assert not switch.rectifiers


@pytest.mark.parametrize(("method", "peer"), [("guided_backprop", "GuidedBackprop"), ("deconvnet", "Deconvolution")])
def test_equals_captum_on_distinct_relu_modules(method: str, peer: str) -> None:
    net, x = distinct_relu_net(), images()
    classifier = wrap(net)
    found = explain(classifier, x, 2, methods=[method], space="input")[method].attributions
    expected = captum(peer, net, classifier.normalize(x), target=2)
    assert torch.allclose(found, expected, atol=1e-12)
    assert float(expected.abs().max()) > 1e-3


@pytest.mark.parametrize("build", [MixedReLU, ReusedReLU])
def test_functional_inplace_and_reused_rectifiers_give_the_map_of_distinct_modules(build: type) -> None:
    net, x = distinct_relu_net(), images()
    methods = ["guided_backprop", "deconvnet", "saliency"]
    expected = explain(wrap(net), x, 1, methods=methods)
    found = explain(wrap(build(net)), x, 1, methods=methods)
    for method in methods:
        assert torch.allclose(found[method].attributions, expected[method].attributions, atol=1e-12)
    assert found["guided_backprop"].notes[0] == "3 rectifier calls overridden"


def test_relu6_is_overridden_where_captum_silently_returns_the_plain_gradient() -> None:
    net = distinct_relu_net()
    for place in (1, 4, 6):
        net[place] = nn.ReLU6()
    classifier, x = wrap(net), images()
    found = explain(classifier, x, 0, methods=["guided_backprop", "saliency"], space="input")
    peer = captum("GuidedBackprop", net, classifier.normalize(x), target=0)
    assert torch.allclose(peer, found["saliency"].attributions, atol=1e-12)
    assert not torch.allclose(peer, found["guided_backprop"].attributions, atol=1e-3)


def test_no_rectifier_is_an_error_that_names_what_was_found() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GELU(), nn.Flatten(), nn.Linear(4 * 14 * 14, 3))
    with pytest.raises(ModelError, match="GELU x1"):
        explain(wrap(net), images(), methods=["guided_backprop"])


def test_activations_that_keep_their_own_derivative_are_noted() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Hardswish(), nn.Flatten(), nn.Linear(4 * 14 * 14, 3))
    found = explain(wrap(net), images(), methods=["guided_backprop"])["guided_backprop"]
    assert "Hardswish x1" in found.notes[1]
