"""Window attention against F.scaled_dot_product_attention on each window, cut out by hand."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from backlight.core.errors import InputError
from backlight.layers.attention import WindowAttention, attention, cut_windows, join_windows


def draw(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def layer(dim, heads, window, fused):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return WindowAttention(dim, heads, window, fused=fused).double()


def attend_by_hand(module, tokens, window):
    """Run torch's attention on every window's real tokens alone."""
    batch, height, width, dim = tokens.shape
    result = torch.empty_like(tokens)
    for top in range(0, height, window):
        for left in range(0, width, window):
            cell = tokens[:, top : top + window, left : left + window]
            joint = module.query_key_value(cell.reshape(batch, -1, dim))
            parts = joint.reshape(batch, -1, 3, module.heads, dim // module.heads).permute(2, 0, 3, 1, 4)
            seen = F.scaled_dot_product_attention(*parts).transpose(1, 2).reshape(cell.shape)
            result[:, top : top + window, left : left + window] = module.project(seen)
    return result


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 2),
    st.integers(1, 7),
    st.integers(1, 7),
    st.sampled_from([None, 1, 2, 3, 8]),
    st.booleans(),
)
def test_equals_torch_attention_on_each_window(batch, height, width, window, fused):
    tokens = draw(batch, height, width, 8)
    module = layer(8, 2, window, fused)
    expected = attend_by_hand(module, tokens, window or max(height, width))
    torch.testing.assert_close(module(tokens), expected)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("window", [None, 2, 3])
def test_gradcheck(window, fused):
    tokens = draw(1, 3, 4, 4).requires_grad_()
    module = layer(4, 2, window, fused)
    assert gradcheck(module, tokens)
    if not fused:  # torch's CPU kernel has no second derivative
        assert gradgradcheck(module, tokens, fast_mode=True)


def test_attention_equals_torch_with_and_without_mask():
    query, key, value = (draw(2, 3, 5, 4, seed=s) for s in range(3))
    torch.testing.assert_close(attention(query, key, value), F.scaled_dot_product_attention(query, key, value))
    mask = torch.ones(5, 5, dtype=torch.bool).tril()
    torch.testing.assert_close(
        attention(query, key, value, mask), F.scaled_dot_product_attention(query, key, value, mask)
    )


def test_padding_is_never_attended_to():
    tokens = draw(1, 3, 3, 4)
    module = layer(4, 1, 2, fused=False)
    with torch.no_grad():
        module.query_key_value.bias.fill_(5.0)  # padded tokens then have large keys and values
    torch.testing.assert_close(module(tokens), attend_by_hand(module, tokens, 2))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.integers(1, 5))
def test_join_undoes_cut(batch, height, width, window):
    tokens = draw(batch, height, width, 2)
    cut = cut_windows(tokens, window)
    assert torch.equal(join_windows(cut.tokens, window, height, width), tokens)
    assert (cut.real is None) == (height % window == 0 and width % window == 0)
    if cut.real is not None:
        assert int(cut.real.sum()) == batch * height * width
        assert bool((cut.tokens[~cut.real] == 0).all())
        assert bool(cut.real.any(1).all())


def test_messages():
    with pytest.raises(InputError, match="8 channels do not divide into 3 heads"):
        WindowAttention(8, 3)
    with pytest.raises(InputError, match="window is 0"):
        WindowAttention(8, 2, 0)
    with pytest.raises(InputError, match=r"shape \[1, 9, 8\].*\[B, H, W, 8\]"):
        WindowAttention(8, 2)(torch.zeros(1, 9, 8))
