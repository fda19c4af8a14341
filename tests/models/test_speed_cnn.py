"""Whitening, identity start and the rates of biases."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from backlight.core.errors import InputError, UsageError
from backlight.models import networks


@pytest.fixture
def network():
    return networks.build("speed_cnn", width="tiny")


def correlated_images(count=200):
    noise = torch.randn(count, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    return F.avg_pool2d(F.pad(noise, (1, 1, 1, 1), mode="circular"), 3, 1)


def test_whitened_responses_are_uncorrelated_with_variance_one(network):
    images = correlated_images()
    network.whiten(images, epsilon=0.0)
    responses = F.conv2d(images, network.whitening.weight[:12]).transpose(0, 1).reshape(12, -1)
    second_moment = responses @ responses.T / responses.shape[1]
    torch.testing.assert_close(second_moment, torch.eye(12), atol=1e-3, rtol=0)
    assert torch.equal(network.whitening.weight[12:], -network.whitening.weight[:12])
    assert not network.whitening.weight.requires_grad
    assert network.whitening.bias.requires_grad


def test_filters_come_by_falling_variance_and_epsilon_tames_the_last(network):
    images = correlated_images()
    network.whiten(images)
    responses = F.conv2d(images, network.whitening.weight[:12]).transpose(0, 1).reshape(12, -1)
    variance = responses.square().mean(1)
    assert bool((variance <= 1.001).all())
    assert bool((variance.diff() <= 1e-4).all())


def test_convolutions_start_as_identities(network):
    conv = network.groups[0][4]
    x = torch.randn(1, 32, 5, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(conv(x), x)


def test_only_normalization_biases_learn_faster(network):
    scales = network.learning_rate_scales()
    parameters = dict(network.named_parameters())
    assert set(scales.values()) == {64.0}
    assert len(scales) == 6
    assert all(parameters[name].requires_grad for name in scales)
    frozen = [n for n, p in parameters.items() if not p.requires_grad]
    assert sum(isinstance(m, nn.BatchNorm2d) for m in network.modules()) + 1 == len(frozen)


def test_messages(network):
    with pytest.raises(InputError, match=r"shape \[0, 3, 8, 8\].*\[N, 3, H, W\]"):
        network.whiten(torch.zeros(0, 3, 8, 8))
    with pytest.raises(InputError, match=r"shape \[2, 1, 8, 8\]"):
        network.whiten(torch.zeros(2, 1, 8, 8))
    with pytest.raises(UsageError, match="speed_cnn: width is 'tinny'.*tiny"):
        networks.build("speed_cnn", width="tinny")
