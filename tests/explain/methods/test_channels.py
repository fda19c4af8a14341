"""Score-CAM, Ablation-CAM and FullGrad against explicit loops and exact cases."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from backlight.classifier import Classifier
from backlight.core.errors import UsageError
from backlight.explain import explain
from backlight.explain.attribution import upsample
from backlight.testing import small_net, unchanged
from tests.explain.nets import distinct_relu_net, images, wrap


def test_scorecam_equals_the_explicit_loop() -> None:
    net, x = distinct_relu_net(), images(2)
    classifier = wrap(net)
    with unchanged(net), torch.no_grad():
        found = explain(classifier, x, 2, methods=["scorecam:baseline=black"], chunk=3)["scorecam:baseline=black"]
        floor = classifier.logits(torch.zeros_like(x))[:, 2]
        hidden = net[:7](classifier.normalize(x))
        for row in range(2):
            rises = torch.zeros(10, dtype=torch.float64)
            for channel in range(10):
                # Enlarged, then scaled (Wang et al., 2020, equations 5 and 6): peaks between places are lower.
                one = upsample(hidden[None, row, [channel]], (16, 16))
                spread = one.max() - one.min()
                mask = (one - one.min()) / spread if spread > 0 else torch.zeros_like(one)
                shown = x[row : row + 1] * mask
                rises[channel] = classifier.logits(shown)[0, 2] - floor[row]
            expected = (rises.softmax(0)[:, None, None] * hidden[row]).sum(0)
            assert torch.allclose(found.attributions[row, 0], expected, atol=1e-10)
    assert found.forwards == 1 + 10


def test_ablationcam_equals_the_explicit_loop_and_leaves_no_hook() -> None:
    net, x = distinct_relu_net(), images(2)
    classifier = wrap(net)
    with unchanged(net), torch.no_grad():
        found = explain(classifier, x, 2, methods=["ablationcam"], chunk=7)["ablationcam"]
        hidden = net[:7](classifier.normalize(x))
        score = classifier.logits(x)[:, 2]
        expected = torch.zeros(2, 8, 8, dtype=torch.float64)
        for channel in range(10):
            silent = hidden.clone()
            silent[:, channel] = 0
            loss = (score - net[7:](silent)[:, 2]) / score
            expected += loss[:, None, None] * hidden[:, channel]
    assert torch.allclose(found.attributions[:, 0], expected, atol=1e-10)


def test_ablation_of_a_reused_layer_touches_only_its_call() -> None:
    from tests.explain.nets import ReusedReLU

    source = distinct_relu_net()
    expected = explain(wrap(source), images(2), 2, methods=["ablationcam"], layer="4")["ablationcam"]
    found = explain(wrap(ReusedReLU(source)), images(2), 2, methods=["ablationcam"], layer="relu#1")["ablationcam"]
    assert torch.allclose(found.attributions, expected.attributions, atol=1e-10)


@pytest.mark.parametrize("method", ["scorecam", "ablationcam"])
def test_fewer_channels_cost_fewer_passes(method: str) -> None:
    spec = f"{method}:channels=4"
    found = explain(wrap(distinct_relu_net()), images(2), 2, methods=[spec])[spec]
    assert found.forwards == 5
    with pytest.raises(UsageError, match="channels=-1"):
        explain(wrap(distinct_relu_net()), images(2), 2, methods=[f"{method}:channels=-1"])


def test_fullgrad_terms_sum_to_the_score_of_a_piecewise_linear_network() -> None:
    net = small_net().double()
    found = explain(Classifier.from_module(net, size=16), images(3), 1, methods=["fullgrad"])["fullgrad"]
    assert float(found.gap.max()) < 1e-9


def test_fullgrad_equals_the_explicit_sum() -> None:
    net, x = distinct_relu_net(), images(2)
    classifier = wrap(net)
    found = explain(classifier, x, 3, methods=["fullgrad"])["fullgrad"]
    inputs = classifier.normalize(x).requires_grad_(True)
    hidden = [inputs]
    for part in net:
        hidden.append(part(hidden[-1]))
    outputs = [hidden[1], hidden[4], hidden[6]]
    gradients = torch.autograd.grad(hidden[-1][:, 3].sum(), [inputs, *outputs])
    terms = [gradients[0] * inputs.detach()]
    terms += [g * net[place].bias.detach()[:, None, None] for g, place in zip(gradients[1:], (0, 3, 5))]
    expected = torch.zeros(2, 16, 16, dtype=torch.float64)
    for term in terms:
        for row in range(2):
            for channel in term[row].abs():
                scaled = (channel - channel.min()) / (channel.max() - channel.min() + 1e-7)
                expected[row] += F.interpolate(scaled[None, None], (16, 16), mode="bilinear")[0, 0]
    assert torch.allclose(found.attributions[:, 0], expected, atol=1e-10)


def test_fullgrad_reads_batchnorm_that_carries_its_activation() -> None:
    layers = pytest.importorskip("timm.layers")
    with torch.random.fork_rng():
        net = nn.Sequential(
            nn.Conv2d(3, 4, 3), layers.BatchNormAct2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
        )
        for tensor in (net[1].running_mean, net[1].weight, net[1].bias):
            nn.init.normal_(tensor)
    classifier = Classifier.from_module(net.double(), mean=(0.5,) * 3, std=(0.5,) * 3, size=8)
    found = explain(classifier, images(1, 8), 1, methods=["fullgrad"])["fullgrad"]
    assert float(found.gap.max()) < 1e-9


def test_a_network_without_bias_says_so() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.Flatten(), nn.Linear(16, 2, bias=False))
    found = explain(Classifier.from_module(net, size=4), images(1, 4).float(), methods=["fullgrad"])["fullgrad"]
    assert any("gradient x input alone" in note for note in found.notes)
    assert float(found.gap.max()) < 1e-5
