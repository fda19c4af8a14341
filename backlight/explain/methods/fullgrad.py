"""FullGrad: what the input and every bias of the network add to the score."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from backlight.classifier import Classifier
from backlight.errors import ModelError
from backlight.explain.attribution import Attribution, upsample
from backlight.explain.methods.path import relative_gap
from backlight.explain.session import Session


def bias_layers(classifier: Classifier) -> dict[str, Tensor]:
    """Return what each call of a layer adds whatever its input is, per channel, by the name of the recorded layer.

    Convolutions and linear layers add their bias, BatchNorms beta - mean * gamma / deviation.

    Raises ModelError where nothing adds a bias.

    >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2, bias=False))
    >>> list(bias_layers(Classifier.from_module(net, size=4)))
    ['0']
    """
    modules = dict(classifier.module.named_modules())
    known = {layer.name: layer for layer in classifier.layers()}
    found: dict[str, Tensor] = {}
    for layer in known.values():
        bias = implicit_bias(modules[layer.name])
        # timm's BatchNormAct2d gives back its activation; its first inner step still holds the normalized value.
        name = f"{layer.name}.drop" if f"{layer.name}.drop" in known else layer.name
        if bias is not None:
            calls = [name] if layer.calls == 1 else [f"{name}#{call}" for call in range(layer.calls)]
            found |= dict.fromkeys(calls, bias.detach())
    if not found:
        raise ModelError(
            f"{classifier.name} has no bias", expected="convolutions, BatchNorms or linear layers with one"
        )
    return found


def implicit_bias(module: nn.Module) -> Tensor | None:
    """Return what a layer adds whatever its input is, per channel, or None.

    >>> implicit_bias(nn.BatchNorm2d(1)).item()
    0.0
    """
    if isinstance(module, _BatchNorm) and module.running_mean is not None and module.running_var is not None:
        scale = torch.rsqrt(module.running_var + module.eps)
        scale = scale if module.weight is None else scale * module.weight
        return -module.running_mean * scale + (0 if module.bias is None else module.bias)
    return module.bias if isinstance(module, (_ConvNd, nn.Linear)) else None


def fullgrad(session: Session) -> Attribution:
    """Add |gradient x input| and |gradient x bias| of every layer, each scaled to [0,1] (Srinivas and Fleuret, 2019).

    For piecewise linear networks all terms, signed, sum to the score: the gap says how nearly they do.
    """
    gradients = session.recorded.gradients(session.graph_score)
    own = session.in_input_space(gradients["images"]) * session.normalized(session.images)
    total = own.double().flatten(1).sum(1)
    raw = _scaled(own, session.image_size)
    for name, bias in bias_layers(session.classifier).items():
        gradient = gradients[name]
        term = gradient * (bias.view(1, -1, 1, 1) if gradient.ndim == 4 else bias)
        total = total + term.double().flatten(1).sum(1)
        if term.ndim == 4 and min(term.shape[2:]) > 1:
            raw = raw + _scaled(term, session.image_size)
    gap = relative_gap(total, session.score.double()).float()
    return Attribution("fullgrad", raw, "relative", session.image_size, gap=gap, forwards=1, backwards=1)


def _scaled(term: Tensor, size: tuple[int, int]) -> Tensor:
    """Scale each channel's magnitude to [0,1], enlarge it and sum: [B,1,H,W]."""
    term = term.abs() if term.dtype == torch.float64 else term.abs().float()
    low, high = term.amin((2, 3), keepdim=True), term.amax((2, 3), keepdim=True)
    return upsample((term - low) / (high - low + 1e-7), size).sum(1, keepdim=True)
