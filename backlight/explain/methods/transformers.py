"""Attribution by attention: rollout, gradient x attention, LeGrad.

All of them combine attention weights over all tokens of the image; which tokens the classifier reads out (a
class token, a distillation token too, or the mean of all) is seen from the gradient.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from backlight.classifier.guard import in_this_thread
from backlight.core.errors import ModelError
from backlight.explain.attribution import Attribution
from backlight.explain.layout import Layout, find_layout, is_attention
from backlight.explain.recorded import Recorded
from backlight.explain.session import Session


class Tokens(NamedTuple):
    """Attention weights and their gradients by block `[B,heads,T,T]`, the grid, and the read-out `[B,T]`."""

    weights: list[Tensor]
    gradients: list[Tensor]
    layout: Layout
    readout: Tensor


def rollout(session: Session) -> Attribution:
    """Multiply the blocks' mean attention, half of each being the residual (Abnar and Zuidema, 2020, equation 1)."""
    tokens = read_tokens(session)
    count = tokens.readout.shape[1]
    identity = torch.eye(count, dtype=tokens.readout.dtype, device=tokens.readout.device)
    rolled = identity
    for weights in tokens.weights:
        mixed = weights.mean(1) + identity
        rolled = mixed / mixed.sum(-1, keepdim=True) @ rolled
    return _on_grid(session, "rollout", tokens, _read_out(tokens, rolled))


def gradient_attention(session: Session) -> Attribution:
    """Add, block by block, attention weighted by its positive gradient (Chefer et al., 2021, equations 5 and 6)."""
    tokens = read_tokens(session)
    count = tokens.readout.shape[1]
    relevance = torch.eye(count, dtype=tokens.readout.dtype, device=tokens.readout.device)
    for weights, gradients in zip(tokens.weights, tokens.gradients, strict=True):
        relevance = relevance + (weights * gradients).relu().mean(1) @ relevance
    return _on_grid(session, "gradient_attention", tokens, _read_out(tokens, relevance))


def legrad(session: Session) -> Attribution:
    """Average the positive gradients of attention over heads, queries and blocks (Bousselham et al., 2024).

    The score of block l is what the classifier says when the blocks after it are left out, so each block but
    the last costs its own pass.
    """
    tokens = read_tokens(session)
    blocks = _blocks(session.classifier.module)
    if len(blocks) != len(tokens.weights):
        raise ModelError(f"{len(tokens.weights)} attentions in {len(blocks)} blocks", expected="one in each block")
    total = _sensitivity(tokens.gradients[-1])
    for depth in range(len(blocks) - 1):
        with skipped([session.classifier.module.get_submodule(name) for name in blocks[depth + 1 :]]):
            recorded = Recorded(session.classifier, session.images, attend=True, pixels=False)
        with torch.enable_grad():
            score = session.objective.score(recorded.logits)
        total = total + _sensitivity(recorded.gradients(score)[f"attention {depth}"])
        session.forwards += len(session.images)
        session.extra_backwards += len(session.images)
    found = _on_grid(session, "legrad", tokens, total / len(blocks))
    return replace(found, forwards=len(blocks), backwards=len(blocks))


def read_tokens(session: Session) -> Tokens:
    """Read the attention of the recorded pass; raise ModelError where it is not over all tokens of the image."""
    name = session.recording.tokens
    weights = [one.detach() for one in session.recorded.attentions]
    gradients = session.recorded.gradients(session.graph_score)
    output = session.recorded.outputs[name]
    layout = find_layout(session.classifier, name, tuple(output.shape), session.image_size)
    count = layout.prefix + layout.grid[0] * layout.grid[1]
    wanted = (len(session.images), count, count)
    shapes = {(one.shape[0], *one.shape[2:]) for one in weights}
    if shapes != {wanted}:
        listed = ", ".join(str(shape) for shape in sorted(shapes)) or "none"
        raise ModelError(
            f"{session.classifier.name} has attention over {listed}",
            expected=f"attention over all {count} tokens in each block",
            hint="gradcam, which needs no attention (windows, as in Swin, are read by it)",
        )
    reached = gradients[name].reshape(len(session.images), count, -1).norm(dim=2)
    read = (reached > 1e-6 * reached.amax(1, keepdim=True)).to(_wide(reached).dtype)
    found = [_wide(gradients[f"attention {place}"]) for place in range(len(weights))]
    return Tokens([_wide(one) for one in weights], found, layout, read / read.sum(1, keepdim=True))


def _wide(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()


def _read_out(tokens: Tokens, relevance: Tensor) -> Tensor:
    return (tokens.readout[:, None] @ relevance)[:, 0]


def _sensitivity(gradients: Tensor) -> Tensor:
    return _wide(gradients).relu().mean((1, 2))


def _on_grid(session: Session, name: str, tokens: Tokens, values: Tensor) -> Attribution:
    raw = values[:, tokens.layout.prefix :].unflatten(1, tokens.layout.grid)[:, None]
    layer = f"{len(tokens.weights)} attentions, grid {tokens.layout.grid[0]}x{tokens.layout.grid[1]}"
    return Attribution(name, raw, "positive", session.image_size, layer, forwards=1, backwards=1)


def _blocks(module: nn.Module) -> list[str]:
    """Name the modules that hold an attention, in order."""
    parents = [name.rpartition(".")[0] for name, part in module.named_modules() if is_attention(part)]
    return [name for name in dict.fromkeys(parents) if name]


@contextmanager
def skipped(blocks: list[nn.Module]) -> Iterator[None]:
    """Let blocks give back their input, inside the context only.

    >>> net = nn.Linear(2, 2)
    >>> with skipped([net]):
    ...     net(torch.ones(1, 2))
    tensor([[1., 1.]])
    """
    handles = [block.register_forward_hook(in_this_thread(_give_back)) for block in blocks]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _give_back(_module: nn.Module, inputs: Any, _output: Any) -> Any:
    return inputs[0]
