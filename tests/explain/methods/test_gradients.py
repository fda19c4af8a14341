"""Gradient methods against captum, closed forms and each other."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from backlight.classifier import Classifier
from backlight.explain import Contrast, explain
from tests.explain.nets import MEAN, STD, distinct_relu_net, images, wrap
from tests.explain.peers import captum


@pytest.fixture(scope="module")
def linear() -> tuple[Classifier, torch.Tensor]:
    """A linear model on 2x2 images: every gradient is its weight."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 3)).double()
    with torch.no_grad():
        net[1].weight.copy_(torch.arange(36.0).view(3, 12).sin())
        net[1].bias.zero_()
    return wrap(net, size=2), net[1].weight.detach()


def test_saliency_equals_captum_and_reduces_as_simonyan_and_cs231n_do() -> None:
    net, x = distinct_relu_net(), images()
    classifier = wrap(net)
    found = explain(classifier, x, [0, 3, 1], methods=["saliency"], space="input")["saliency"]
    target = torch.tensor([0, 3, 1])
    assert torch.allclose(
        found.attributions, captum("Saliency", net, classifier.normalize(x), target=target, abs=False), atol=1e-12
    )
    expected = captum("Saliency", net, classifier.normalize(x), target=target).amax(1)
    assert torch.allclose(found.heatmap(), expected, atol=1e-12)


def test_gradient_x_input_equals_captum() -> None:
    net, x = distinct_relu_net(), images()
    classifier = wrap(net)
    found = explain(classifier, x, 4, methods=["gradient_x_input"], space="input")["gradient_x_input"]
    expected = captum("InputXGradient", net, classifier.normalize(x), target=4)
    assert torch.allclose(found.attributions, expected, atol=1e-12)


def test_spaces_differ_by_the_standard_deviation_and_on_gradient_x_input_by_the_mean(linear) -> None:
    classifier, weight = linear
    x = images(2, 2)
    std = torch.tensor(STD, dtype=torch.float64).view(1, 3, 1, 1)
    mean = torch.tensor(MEAN, dtype=torch.float64).view(1, 3, 1, 1)
    own = weight[1].view(1, 3, 2, 2)
    methods = ["saliency", "gradient_x_input"]
    pixel = explain(classifier, x, 1, methods=methods)
    inner = explain(classifier, x, 1, methods=methods, space="input")
    assert torch.allclose(pixel["saliency"].attributions, (own / std).expand(2, -1, -1, -1))
    assert torch.allclose(inner["saliency"].attributions, own.expand(2, -1, -1, -1))
    assert torch.allclose(pixel["gradient_x_input"].attributions, own / std * x)
    assert torch.allclose(inner["gradient_x_input"].attributions, own * (x - mean) / std)


def test_quantities_and_contrasts_on_a_linear_model(linear) -> None:
    classifier, weight = linear
    x = images(2, 2)
    std = torch.tensor(STD, dtype=torch.float64).view(1, 3, 1, 1)
    p = classifier.probabilities(x)[:, 1].detach().view(-1, 1, 1, 1)
    average = (classifier.probabilities(x).detach() @ weight).view(-1, 3, 2, 2)
    own = weight[1].view(1, 3, 2, 2)
    wanted = {"logit": own.expand(2, -1, -1, -1), "loss": average - own, "probability": p * (own - average)}
    for quantity, gradient in wanted.items():
        found = explain(classifier, x, 1, methods=["saliency"], quantity=quantity)
        assert torch.allclose(found["saliency"].attributions, gradient / std, atol=1e-12)
    contrast = explain(classifier, x, Contrast(1, 0), methods=["saliency"])
    assert torch.allclose(contrast["saliency"].attributions[0], (own - weight[0].view(1, 3, 2, 2))[0] / std[0])
    both = explain(classifier, x, lambda logits: logits[:, 0] + 2 * logits[:, 2], methods=["saliency"])
    assert torch.allclose(both["saliency"].attributions[0], (weight[0] + 2 * weight[2]).view(3, 2, 2) / std[0])
    assert both.target is None


def test_deconvnet_ignores_which_units_were_active() -> None:
    net, x = distinct_relu_net(), images()
    found = explain(wrap(net), x, methods=["guided_backprop", "deconvnet"])
    assert not torch.allclose(found["guided_backprop"].attributions, found["deconvnet"].attributions)
