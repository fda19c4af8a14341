"""Attention weights, also where attention is fused and never computes them.

A `TorchFunctionMode` computes attention in the open inside one forward pass: `scaled_dot_product_attention`,
`nn.MultiheadAttention` (its fast path too) and softmax over tokens written out. Nothing is changed in the model
and nothing outside of the block.
"""

from __future__ import annotations

import inspect
import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from backlight.core.errors import ModelError

_SOFTMAXES = (F.softmax, torch.softmax, Tensor.softmax)


class Attentions(TorchFunctionMode):
    """Collect the attention weights `[B,heads,T,T]` of every attention in the block, in order, in the graph.

    >>> seen = []
    >>> tokens = torch.rand(2, 3, 5, 4)
    >>> with Attentions(seen):
    ...     out = F.scaled_dot_product_attention(tokens, tokens, tokens)
    >>> seen[0].shape, bool(torch.allclose(out, seen[0] @ tokens, atol=1e-6))
    (torch.Size([2, 3, 5, 5]), True)
    """

    def __init__(self, weights: list[Tensor]) -> None:
        super().__init__()
        self.weights = weights

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            output, weights = _attend(*args, **kwargs)
            self.weights.append(weights)
            return output
        if func is F.multi_head_attention_forward:
            output, weights = _attend_by_heads(*args, **kwargs)
            self.weights.append(weights)
            return output, weights
        result = func(*args, **kwargs)
        if func in _SOFTMAXES and _over_tokens(result, args, kwargs):
            self.weights.append(result)
        return result


def _over_tokens(result: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
    square = result.ndim == 4 and result.shape[2] == result.shape[3] > 1
    return square and dim in (-1, 3)


def _attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> tuple[Tensor, Tensor]:
    """Compute softmax(Q K^T scale + mask) V in the open; dropout is off while explaining."""
    if enable_gqa and key.shape[-3] != query.shape[-3]:
        repeats = query.shape[-3] // key.shape[-3]
        key, value = key.repeat_interleave(repeats, -3), value.repeat_interleave(repeats, -3)
    logits = query @ key.transpose(-2, -1) * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if is_causal:
        attn_mask = torch.ones(logits.shape[-2:], dtype=torch.bool, device=logits.device).tril()
    if attn_mask is not None:
        masked = attn_mask.dtype == torch.bool
        logits = logits.masked_fill(~attn_mask, -math.inf) if masked else logits + attn_mask
    weights = logits.softmax(-1)
    return weights @ value, weights


_SIGNATURE = inspect.signature(F.multi_head_attention_forward)
_PLAIN = ("bias_k", "bias_v", "add_zero_attn", "key_padding_mask", "use_separate_proj_weight", "static_k", "static_v")


def _attend_by_heads(*args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
    """Compute what `nn.MultiheadAttention` does: tokens are `[T,B,E]`, weights come back `[B,heads,T,S]`."""
    bound = _SIGNATURE.bind(*args, **kwargs)
    bound.apply_defaults()
    given = bound.arguments
    special = [name for name in _PLAIN if given[name] is not None and given[name] is not False]
    if special or given["query"].ndim != 3:
        raise ModelError(
            f"nn.MultiheadAttention with {', '.join(special) or 'unbatched tokens'}", expected="plain attention"
        )
    heads, biases = given["num_heads"], given["in_proj_bias"]
    parts = []
    for place, name in enumerate(("query", "key", "value")):
        weight = given["in_proj_weight"].chunk(3)[place]
        projected = F.linear(given[name], weight, None if biases is None else biases.chunk(3)[place])
        length, batch, width = projected.shape
        parts.append(projected.reshape(length, batch, heads, width // heads).permute(1, 2, 0, 3))
    attended, weights = _attend(parts[0], parts[1], parts[2], given["attn_mask"])
    joined = attended.permute(2, 0, 1, 3).flatten(2)
    return F.linear(joined, given["out_proj_weight"], given["out_proj_bias"]), weights
