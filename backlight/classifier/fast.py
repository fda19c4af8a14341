"""A private, frozen copy of a classifier that gives the same logits in less time.

BatchNorm in evaluation mode is an affine map, so it is folded into the convolution before it (Jacob et al.,
2018, eq. 14). Which convolution feeds which BatchNorm is seen in one pass rather than guessed from names, and the
copy is used only where its logits agree with the original's; so a network that this does not understand costs
nothing but the attempt. Nothing here is timed: what changes numbers is not chosen by a clock.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from backlight.classifier.classifier import Classifier
from backlight.classifier.layout import FORMATS, suitable_format
from backlight.core.errors import UsageError

TOLERANCE = 1e-4
_COMPARED = 2  # pictures


@dataclass(frozen=True)
class Probe:
    """What the fast copy is: BatchNorms folded, memory format, or why the original stays.

    `folded` names the convolutions whose output now includes the BatchNorm after them; `difference` is the
    largest change of a logit as a fraction of the logits' range.
    """

    memory_format: str
    folded: frozenset[str] = frozenset()
    difference: float = 0.0
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
    """Keep the dropout and activation that some normalizations carry, such as timm's BatchNormAct2d."""

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
    try:
        # Weights made in inference mode could never be differentiated through.
        with torch.inference_mode(False), torch.no_grad():
            return _copy_and_fold(classifier, keep, memory_format)
    # Whatever a network of any kind cannot bear here, it works without a faster copy.
    except Exception as error:
        words = str(error).splitlines()
        reason = f"no faster copy can be made ({type(error).__name__}: {words[0] if words else ''})"
        return classifier.replace(probe=Probe("contiguous", reason=reason))


def _copy_and_fold(classifier: Classifier, keep: frozenset[str], memory_format: str) -> Classifier:
    module = copy.deepcopy(classifier.module)
    module.requires_grad_(False)
    for part in module.modules():
        part.training = False
    images = _images(classifier)
    folded = _fold(module, classifier.normalize(images[:1]), keep)
    chosen = suitable_format(module, classifier.device) if memory_format == "auto" else memory_format
    module.to(memory_format=FORMATS[chosen])
    private = classifier.replace(module=module, probe=Probe(chosen, folded))
    difference = _difference(classifier, private, images)
    if not difference <= TOLERANCE:
        reason = f"folding changed the logits by {difference:.1e} of their range"
        return classifier.replace(probe=Probe("contiguous", reason=reason))
    private.probe = Probe(chosen, folded, difference)
    return private


def _images(classifier: Classifier) -> Tensor:
    from backlight.core.random import Random

    assert classifier.size is not None
    height, width = classifier.size
    draw = Random("fast", torch.arange(_COMPARED))
    return draw.uniform(classifier.channels, height, width, dtype=torch.float32).to(classifier.device)


def _fold(module: nn.Module, inputs: Tensor, keep: frozenset[str]) -> frozenset[str]:
    names = {part: name for name, part in module.named_modules()}
    folded = set()
    for convolution, norm in _pairs(module, inputs):
        # A parametrized weight is computed anew in each pass, and cannot be replaced.
        plain = isinstance(convolution._parameters.get("weight"), nn.Parameter)
        if names[convolution] in keep or norm.num_features != convolution.out_channels or not plain:
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
    return _AfterNorm(parts.get("drop", nn.Identity()), parts["act"]) if "act" in parts else nn.Identity()


def _replace(module: nn.Module, name: str, part: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(module.get_submodule(parent), child, part)


def _difference(classifier: Classifier, other: Classifier, images: Tensor) -> float:
    expected, found = (one.record(images, ("logits",))["logits"] for one in (classifier, other))
    finite = expected.isfinite()
    if not torch.equal(expected[~finite].nan_to_num(), found[~finite].nan_to_num()) or not bool(finite.any()):
        return float("nan")
    spread = expected[finite].max() - expected[finite].min()
    return float((expected - found)[finite].abs().max() / spread.clamp(min=1e-12))
