"""Measures of what layers hold: neuron, direction, energy, likeness to a target, variety; and "layer:7" as text."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from backlight.classifier import Classifier
from backlight.classifier.recording import LOGITS
from backlight.core.errors import InputError, LayerError, UsageError, did_you_mean
from backlight.core.grammar import parse_whole
from backlight.pixels.measure import Measure
from backlight.pixels.objectives import Classes, activation, logit
from backlight.pixels.view import View

_ACTIVATIONS = ("relu", "silu", "gelu", "swish", "elu", "mish", "hardtanh", "tanh", "sigmoid", "softplus")


def neuron(layer: str, channel: Classes, position: tuple[int, int] | None = None) -> Measure:
    """Measure one position of a channel of a layer `[A,C,h,w]`: the middle one where none is named.

    Raises LayerError for layers without rows and columns, InputError for places outside of the layer.

    >>> neuron("layer3", 7)
    neuron('layer3', 7)
    """

    def value(view: View) -> Tensor:
        output = _spatial(view, layer)
        channels, height, width = output.shape[1:]
        row, column = (height // 2, width // 2) if position is None else position
        picked = torch.as_tensor(view.pick(channel), device=output.device).expand(len(view))
        inside = bool(((picked >= 0) & (picked < channels)).all())
        if not inside or not 0 <= row < height or not 0 <= column < width:
            raise InputError(f"neuron {channel} at {position}", expected=f"inside {(channels, height, width)}")
        return output[:, :, row, column].gather(1, picked[:, None])[:, 0]

    at = "" if position is None else f", {position}"
    return Measure(value, f"neuron({layer!r}, {channel if isinstance(channel, int) else 'tensor'}{at})", layers={layer})


def direction(layer: str, vector: Tensor) -> Measure:
    """Measure how far a layer points along `vector` `[C]` (or one per image `[B,C]`), averaged over positions.

    >>> direction("layer3", torch.ones(8))
    direction('layer3')
    """
    vectors = vector if vector.ndim == 2 else vector[None]

    def value(view: View) -> Tensor:
        output = view[layer]
        means = output.flatten(2).mean(2) if output.ndim != 3 else output.mean(1)
        return (means * view.pick(vectors).to(means)).sum(1)

    return Measure(value, f"direction({layer!r})", layers={layer})


def energy(layer: str) -> Measure:
    """Measure the mean square of a layer: what a dream amplifies.

    >>> energy("layer3")
    energy('layer3')
    """
    return Measure(lambda view: view[layer].flatten(1).square().mean(1), f"energy({layer!r})", layers={layer})


def content(layer: str, target: Tensor) -> Measure:
    """Measure the squared distance of a layer from `target` `[B,...]`, summed over all its values.

    >>> -content("layer3", torch.zeros(1, 8, 4, 4))
    -content('layer3')
    """

    def value(view: View) -> Tensor:
        return (view[layer] - view.pick(target)).square().flatten(1).sum(1)

    return Measure(value, f"content({layer!r})", layers={layer})


def diversity(layer: str, groups: Tensor) -> Measure:
    """Measure how unlike the others of its group each picture is: minus the mean cosine of their Gram matrices.

    `groups` `[B]` numbers the groups; all of one must be in the same look (Olah, Mordvintsev and Schubert 2017).

    >>> diversity("layer3", torch.zeros(4, dtype=torch.int64))
    diversity('layer3')
    """

    def value(view: View) -> Tensor:
        flat = F.normalize(gram(_spatial(view, layer)).flatten(1), dim=1)
        group = view.pick(groups)
        others = (group[:, None] == group[None]).to(flat).fill_diagonal_(0)
        return -((flat @ flat.T) * others).sum(1) / others.sum(1).clamp(min=1)

    return Measure(value, f"diversity({layer!r})", layers={layer})


def gram(features: Tensor) -> Tensor:
    """Multiply channels with each other, averaged over positions: `[A,C,h,w]` to `[A,C,C]`.

    >>> gram(torch.ones(1, 2, 3, 3))
    tensor([[[1., 1.],
             [1., 1.]]])
    """
    flat = features.flatten(2)
    return flat @ flat.mT / flat.shape[2]


def read_objective(classifier: Classifier, text: str) -> Measure:
    """Read "layer:7" (a channel), "logits:7" (a class), "layer:7:3,4" (a neuron) or "layer" (its energy).

    Raises LayerError with the nearest names for an unknown layer, InputError for a number it does not have.

    >>> from torch import nn
    >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    >>> read_objective(Classifier.from_module(net, size=8), "0:3")
    activation('0:3')
    """
    layer, *rest = text.split(":")
    if not rest:
        return energy(check_layer(classifier, layer))
    if layer == LOGITS:
        return logit(classifier.class_index(rest[0]))
    channels = channels_of(classifier, layer)
    try:
        channel = parse_whole(rest[0])
        place = [parse_whole(one) for one in rest[1].split(",")] if len(rest) > 1 else []
    except UsageError:
        raise InputError(f"{text!r}", expected="layer:channel or layer:channel:row,column, as in layer3:7") from None
    if not 0 <= channel < channels:
        raise InputError(f"channel {channel} of {layer!r}", expected=f"0 to {channels - 1}")
    if len(place) not in (0, 2) or len(rest) > 2:
        raise InputError(f"{text!r}", expected="layer:channel or layer:channel:row,column, as in layer3:7")
    return neuron(layer, channel, (place[0], place[1])) if place else activation(layer, channel)


def check_layer(classifier: Classifier, layer: str) -> str:
    """Return the layer's name back, or raise LayerError with the nearest ones; `relu#1` is a call of `relu`."""
    known = [one.name for one in classifier.layers()]
    if layer != LOGITS and layer.split("#")[0] not in known:
        raise LayerError(f"no layer {layer!r} in {classifier.name}", hint=did_you_mean(layer, known))
    return layer


def channels_of(classifier: Classifier, layer: str) -> int:
    """Count the channels of a layer: the second dimension, the last one of token sequences `[A,N,C]`."""
    check_layer(classifier, layer)
    if layer == LOGITS:
        return classifier.classes
    shape = next(one.shape for one in classifier.layers() if one.name == layer.split("#")[0])
    return shape[2] if len(shape) == 3 else shape[1]


def layers_by_resolution(classifier: Classifier) -> dict[tuple[int, ...], list[str]]:
    """Group the layers that give maps `[A,C,h,w]` by (h, w): activations where there are any, else all.

    In the order in which they run; layers that run more than once are left out.

    >>> from torch import nn
    >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    >>> layers_by_resolution(Classifier.from_module(net, size=8))
    {(6, 6): ['1']}
    """
    maps = [one for one in classifier.layers() if len(one.shape) == 4 and min(one.shape[2:]) > 1]
    once = [one for one in maps if one.calls == 1]
    active = [one for one in once if one.type.lower().startswith(_ACTIVATIONS)]
    found: dict[tuple[int, ...], list[str]] = {}
    for one in active or once:
        found.setdefault(one.shape[2:], []).append(one.name)
    return found


def _spatial(view: View, layer: str) -> Tensor:
    output = view[layer]
    if output.ndim != 4:
        raise LayerError(f"layer {layer!r} gives {list(output.shape)}", expected="[A,C,h,w], rows and columns")
    return output
