"""The residual block's formula."""

import torch
import torch.nn.functional as F

from backlight.models.residual_cnn import ResidualBlock


def test_block_formula():
    block = ResidualBlock(4)
    x = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    inner = F.relu(F.conv2d(x, block.conv1.weight, block.conv1.bias, padding=1))
    expected = F.relu(x + F.conv2d(inner, block.conv2.weight, block.conv2.bias, padding=1))
    torch.testing.assert_close(block(x), expected)


def test_block_with_zero_weights_passes_positive_values_on():
    block = ResidualBlock(4)
    for parameter in block.parameters():
        torch.nn.init.zeros_(parameter)
    x = torch.rand(1, 4, 5, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(block(x), x)
