"""The layout that the published accuracies were measured on."""

import torch
import torch.nn.functional as F

from backlight.models import networks


def test_the_layout_by_functions():
    net = networks.build("classic_cnn", seed=2)
    x = images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    for number in (1, 2, 3):
        layer = getattr(net, f"conv{number}")
        x = F.max_pool2d(F.relu(F.conv2d(x, layer.weight, layer.bias, padding="same")), 2)
    x = F.relu(F.conv2d(x, net.conv4.weight, net.conv4.bias, padding="same")).flatten(1)
    assert x.shape[1] == net.hidden.in_features == 1600
    x = F.relu(x @ net.hidden.weight.T + net.hidden.bias)
    torch.testing.assert_close(net(images), x @ net.head.weight.T + net.head.bias)
