"""A private, frozen copy of a classifier that gives the same logits in less time.

BatchNorm in evaluation mode is an affine map, so it is folded into the convolution before it (Jacob et al.,
2018, eq. 14). Which convolution feeds which BatchNorm is seen in one pass rather than guessed from names, and the
copy is used only where its logits agree with the original's; so a network that this does not understand costs
nothing but the attempt. The memory format is the one that one timed pass found faster.
"""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from backlight.classifier.classifier import Classifier
from backlight.errors import UsageError

TOLERANCE = 1e-4
FORMATS = ("contiguous", "channels_last")
_PROBE_VALUES, _PROBE_IMAGES = 400_000, 32
_TIE = 0.85
_FEWEST_TURNS, _MOST_TURNS, _PROBE_SECONDS = 2, 5, 0.05


@dataclass(frozen=True)
class Probe:
    """What the fast copy is: BatchNorms folded, memory format, seconds of each format tried, or why not.

    `folded` names the convolutions whose output now includes the BatchNorm after them; `difference` is the
    largest change of a logit as a fraction of the logits' range.
    """

    memory_format: str
    folded: frozenset[str] = frozenset()
    difference: float = 0.0
    seconds: tuple[tuple[str, float], ...] = ()
    reason: str = ""

    def describe(self) -> str:
        """Describe in one line what was chosen.

        >>> Probe("channels_last", frozenset({"conv"}), 1e-6).describe()
        'channels_last, 1 BatchNorm folded, logits within 1e-06 of their range'
        """
        if self.reason:
            return f"original module: {self.reason}"
        count = len(self.folded)
        norms = f"{count} BatchNorm{'' if count == 1 else 's'} folded"
        return f"{self.memory_format}, {norms}, logits within {self.difference:.0e} of their range"


class _AfterNorm(nn.Module):
    """Keep the dropout and activation that timm's BatchNormAct2d carries beside the normalization."""

    def __init__(self, drop: nn.Module, act: nn.Module) -> None:
        super().__init__()
        self.drop, self.act = drop, act

    def forward(self, inputs: Tensor) -> Tensor:
        return self.act(self.drop(inputs))


def make_fast(classifier: Classifier, *, keep: frozenset[str], memory_format: str) -> Classifier:
    """Make the fast copy of `classifier`, or hand back the original with the reason in `.probe`."""
    if memory_format not in ("auto", *FORMATS):
        raise UsageError(f"memory format {memory_format!r}", expected="auto, contiguous or channels_last")
    if classifier.probe is not None and not classifier.probe.reason:
        return classifier
    if classifier.size is None:
        return classifier.replace(probe=Probe("contiguous", reason="its input size is unknown"))
    # Weights made in inference mode could never be differentiated through.
    with torch.inference_mode(False), torch.no_grad():
        return _copy_and_fold(classifier, keep, memory_format)


def _copy_and_fold(classifier: Classifier, keep: frozenset[str], memory_format: str) -> Classifier:
    try:
        module = copy.deepcopy(classifier.module)
    except (RuntimeError, TypeError, NotImplementedError) as error:
        return classifier.replace(probe=Probe("contiguous", reason=f"it cannot be copied ({error})"))
    module.requires_grad_(False)
    for part in module.modules():
        part.training = False
    images = _images(classifier)
    folded = _fold(module, classifier.normalize(images[:1]), keep)
    private = classifier.replace(module=module, probe=Probe("contiguous", folded))
    difference = _difference(classifier, private, images[:2])
    if not difference <= TOLERANCE:
        reason = f"folding changed the logits by {difference:.1e} of their range"
        return classifier.replace(probe=Probe("contiguous", reason=reason))
    return _choose_format(private, Probe("contiguous", folded, difference), images, memory_format)


def _images(classifier: Classifier) -> Tensor:
    from backlight.random import Random

    assert classifier.size is not None
    height, width = classifier.size
    count = max(2, min(_PROBE_IMAGES, _PROBE_VALUES // (classifier.channels * height * width)))
    draw = Random("fast", torch.arange(count))
    return draw.uniform(classifier.channels, height, width, dtype=torch.float32).to(classifier.device)


def _fold(module: nn.Module, inputs: Tensor, keep: frozenset[str]) -> frozenset[str]:
    names = {part: name for name, part in module.named_modules()}
    folded = set()
    for convolution, norm in _pairs(module, inputs):
        if names[convolution] in keep or norm.num_features != convolution.out_channels:
            continue
        assert norm.running_mean is not None
        assert norm.running_var is not None
        weight, bias = fuse_conv_bn_weights(
            convolution.weight,
            convolution.bias,
            norm.running_mean,
            norm.running_var,
            norm.eps,
            norm.weight,
            norm.bias,
        )
        convolution.weight = nn.Parameter(weight.detach(), requires_grad=False)
        convolution.bias = nn.Parameter(bias.detach(), requires_grad=False)
        _replace(module, names[norm], _remainder(norm))
        folded.add(names[convolution])
    return frozenset(folded)


def _pairs(module: nn.Module, inputs: Tensor) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Find every convolution whose output object is what a BatchNorm took, both running exactly once."""
    produced: dict[int, nn.Conv2d] = {}
    pairs: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []
    calls: dict[nn.Module, int] = {}
    alive: list[Tensor] = []

    def after_convolution(part: nn.Module, _inputs: Any, output: Tensor) -> None:
        assert isinstance(part, nn.Conv2d)
        calls[part] = calls.get(part, 0) + 1
        produced[id(output)] = part
        alive.append(output)  # a freed tensor's id could be given to another

    def before_norm(part: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(part, nn.BatchNorm2d)
        calls[part] = calls.get(part, 0) + 1
        source = produced.get(id(inputs[0]))
        if source is not None and part.running_mean is not None:
            pairs.append((source, part))

    handles = []
    try:
        for part in module.modules():
            if isinstance(part, nn.Conv2d):
                handles.append(part.register_forward_hook(after_convolution))
            elif isinstance(part, nn.BatchNorm2d):
                handles.append(part.register_forward_pre_hook(before_norm))
        with torch.no_grad():
            module(inputs)
    finally:
        for handle in handles:
            handle.remove()
    return [(convolution, norm) for convolution, norm in pairs if calls[convolution] == calls[norm] == 1]


def _remainder(norm: nn.BatchNorm2d) -> nn.Module:
    parts = dict(norm.named_children())
    return _AfterNorm(parts["drop"], parts["act"]) if {"drop", "act"} <= set(parts) else nn.Identity()


def _replace(module: nn.Module, name: str, part: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(module.get_submodule(parent), child, part)


def _difference(classifier: Classifier, other: Classifier, images: Tensor) -> float:
    with torch.no_grad():
        expected = classifier.record(images, ("logits",))["logits"]
        found = other.record(images, ("logits",))["logits"]
    spread = expected.max() - expected.min()
    return float((expected - found).abs().max() / spread.clamp(min=1e-12))


def _choose_format(private: Classifier, probe: Probe, images: Tensor, memory_format: str) -> Classifier:
    seconds = _time_formats(private, probe, images) if memory_format == "auto" else {memory_format: 0.0}
    # Two images are timed, four or more come: a near tie goes to the format that batches suit better.
    chosen = min(seconds, key=lambda name: seconds[name] * (_TIE if name == "channels_last" else 1))
    _set_format(private, probe, chosen)
    private.probe = Probe(chosen, probe.folded, probe.difference, tuple(seconds.items()))
    return private


def _time_formats(private: Classifier, probe: Probe, images: Tensor) -> dict[str, float]:
    """Time formats in turn and keep each one's fastest: whatever else the machine does disturbs both alike."""
    fastest = dict.fromkeys(FORMATS, float("inf"))
    started = time.perf_counter()
    for turn in range(_MOST_TURNS):
        if turn >= _FEWEST_TURNS and time.perf_counter() - started > _PROBE_SECONDS:
            break
        for name in FORMATS:
            _set_format(private, probe, name)
            fastest[name] = min(fastest[name], _time_gradient(private, images))
    return fastest


def _set_format(private: Classifier, probe: Probe, name: str) -> None:
    private.module.to(memory_format=_torch_format(name))
    private.probe = Probe(name, probe.folded, probe.difference)


def _torch_format(name: str) -> torch.memory_format:
    return torch.channels_last if name == "channels_last" else torch.contiguous_format


def _time_gradient(classifier: Classifier, images: Tensor) -> float:
    start = time.perf_counter()
    with torch.enable_grad():
        pixels = images.clone().requires_grad_(True)
        logits = classifier.record(pixels, ("logits",))["logits"]
        gradient = torch.autograd.grad(logits.sum(), pixels)[0]
    float(gradient.sum())  # waits for an asynchronous device
    return time.perf_counter() - start
