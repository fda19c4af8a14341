"""Patch embedding against a strided convolution; the block against its formula."""

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck, gradgradcheck

from backlight.core.errors import InputError
from backlight.layers.transformer import (
    PatchEmbedding,
    PositionEmbedding,
    TransformerBlock,
    initialize_transformer,
)


def draw(*shape):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("patch", "size"), [(1, (3, 2)), (2, (4, 6)), (3, (9, 3))])
def test_patch_embedding_is_a_strided_convolution(patch, size):
    images, module = draw(2, 3, *size), PatchEmbedding(3, 5, patch).double()
    kernel = module.project.weight.view(5, 3, patch, patch)
    expected = F.conv2d(images, kernel, module.project.bias, stride=patch).permute(0, 2, 3, 1)
    torch.testing.assert_close(module(images), expected)
    last = images.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(module(last), expected)


def test_patch_embedding_gradients():
    module = PatchEmbedding(2, 3, 2).double()
    images = draw(1, 2, 4, 2).requires_grad_()
    assert gradcheck(module, images)
    assert gradgradcheck(lambda x: module(x).square(), images)


def test_block_is_attention_and_mlp_added_to_normalized_tokens():
    block, tokens = TransformerBlock(8, 2, 2, mlp_ratio=1.5).double(), draw(2, 3, 4, 8)
    assert block.mlp[0].out_features == 12
    middle = tokens + block.attention(F.layer_norm(tokens, (8,)))
    torch.testing.assert_close(block(tokens), middle + block.mlp(F.layer_norm(middle, (8,))))


@pytest.mark.parametrize("window", [None, 2])
def test_block_gradients(window):
    block = TransformerBlock(4, 2, window, fused=False).double()
    tokens = draw(1, 3, 2, 4).requires_grad_()
    assert gradcheck(block, tokens)
    assert gradgradcheck(block, tokens, fast_mode=True)


def test_positions_are_added_and_checked():
    module = PositionEmbedding(2, 3, 4)
    assert torch.equal(module(torch.zeros(5, 2, 3, 4))[4], module.vectors)
    with pytest.raises(InputError, match=r"\[5, 3, 3, 4\].*\[B, 2, 3, 4\]"):
        module(torch.zeros(5, 3, 3, 4))


def test_initialization_draws_small_weights():
    layer = torch.nn.Linear(200, 200)
    initialize_transformer(layer)
    assert 0.018 < layer.weight.std().item() < 0.022


@pytest.mark.parametrize("shape", [(1, 3, 7, 8), (1, 4, 8, 8), (3, 8, 8)])
def test_patch_messages(shape):
    with pytest.raises(InputError, match=str(list(shape)).replace("[", r"\[").replace("]", r"\]")):
        PatchEmbedding(3, 5, 4)(torch.zeros(shape))
