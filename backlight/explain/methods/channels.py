"""Class activation maps whose channel weights come from further passes: Score-CAM and Ablation-CAM."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from backlight.classifier.guard import in_this_thread
from backlight.classifier.recording import split_call
from backlight.core.chunks import in_chunks
from backlight.core.errors import UsageError
from backlight.explain.attribution import Attribution, upsample
from backlight.explain.methods.baselines import make_baseline
from backlight.explain.methods.cam import class_activation
from backlight.explain.session import LayerMap, Session


def scorecam(session: Session, *, channels: int = 0, baseline: str | Tensor = "mean") -> Attribution:
    """Weigh each channel by how much showing only where it is active raises the score over the baseline.

    Wang et al. (2020), equations 4 to 6: maps are enlarged and then scaled to [0,1], the scores go through a softmax
    over channels, in which the baseline's own score cancels. `channels` > 0 keeps only those with the widest
    range, for speed.
    """
    hidden = make_baseline(baseline, session.images, session.classifier, session.random)

    def weigh(layer: LayerMap, rows: Tensor, chosen: Tensor) -> Tensor:
        masks = _unit(upsample(layer.activations[rows, chosen][:, None].to(hidden), session.image_size))
        shown = session.images[rows] * masks + hidden[rows] * (1 - masks)
        return session.scores(shown, rows)

    def spread(layer: LayerMap) -> Tensor:
        return layer.activations.amax((2, 3)) - layer.activations.amin((2, 3))

    return _weighted(session, "scorecam", channels, spread, weigh, lambda weights: weights.softmax(1))


def ablationcam(session: Session, *, channels: int = 0) -> Attribution:
    """Weigh each channel by the share of the score that is lost without it (Desai and Ramaswamy, 2020, equation 3).

    `channels` > 0 keeps only those that matter most by gradient x activation, for speed.
    """

    def weigh(layer: LayerMap, rows: Tensor, chosen: Tensor) -> Tensor:
        with ablated(session.classifier.module, layer, chosen):
            scores = session.scores(session.images[rows], rows)
        return (session.score[rows] - scores) / session.score[rows]

    def influence(layer: LayerMap) -> Tensor:
        return (layer.activations * layer.gradients).sum((2, 3)).abs()

    return _weighted(session, "ablationcam", channels, influence, weigh, lambda weights: weights)


def _weighted(
    session: Session,
    name: str,
    channels: int,
    rank: Callable[[LayerMap], Tensor],
    weigh: Callable[[LayerMap, Tensor, Tensor], Tensor],
    finish: Callable[[Tensor], Tensor],
) -> Attribution:
    if channels < 0:
        raise UsageError(f"channels={channels}", expected="0 for all, or a number of channels")
    before = session.forwards
    maps, raws = session.layer_maps(), []
    for layer in maps:
        count = layer.activations.shape[1]
        kept = min(channels or count, count)
        order = rank(layer).argsort(dim=1, descending=True, stable=True)[:, :kept]
        weights = _all_weights(session, layer, order, weigh)
        chosen = layer.activations.gather(1, order[:, :, None, None].expand(-1, -1, *layer.activations.shape[2:]))
        raws.append((finish(weights)[:, :, None, None].to(chosen) * chosen).sum(1, keepdim=True))
    found = class_activation(session, name, maps, raws)
    extra = (session.forwards - before) / len(session.images)
    return replace(found, forwards=1 + extra)


def _all_weights(
    session: Session, layer: LayerMap, order: Tensor, weigh: Callable[[LayerMap, Tensor, Tensor], Tensor]
) -> Tensor:
    count, kept = order.shape

    def run(part: slice) -> Tensor:
        pairs = torch.arange(part.start, part.stop, device=order.device)
        rows, places = pairs // kept, pairs % kept
        return weigh(layer, rows, order[rows, places])

    return torch.cat(list(in_chunks(run, count * kept, session.chunk))).view(count, kept)


def _unit(maps: Tensor) -> Tensor:
    low, high = maps.amin((2, 3), keepdim=True), maps.amax((2, 3), keepdim=True)
    return torch.where(high > low, (maps - low) / (high - low), 0.0)


@contextmanager
def ablated(module: nn.Module, layer: LayerMap, channels: Tensor) -> Iterator[None]:
    """Set one channel of each image to 0 in a layer's output, inside the block only.

    `channels` [A] names a channel for each image of the pass.
    """
    name, wanted = split_call(layer.name)
    calls = 0

    def silence(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor | None:
        nonlocal calls
        calls += 1
        if calls != wanted + 1:
            return None
        output = output.clone()
        layer.layout.to_map(output)[torch.arange(len(channels), device=output.device), channels] = 0
        return output

    handle = module.get_submodule(name).register_forward_hook(in_this_thread(silence))
    try:
        yield
    finally:
        handle.remove()
