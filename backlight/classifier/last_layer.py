"""What enters a network's last layer, its features, found by what the layers do and not by their names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from backlight.classifier.classifier import Classifier
from backlight.classifier.guard import in_this_thread
from backlight.classifier.recording import LOGITS
from backlight.core.errors import LayerError, ModelError

_TOLERANCE = 1e-4  # of the logits' range


@dataclass(frozen=True, eq=False, repr=False)
class LastLayer:
    """Where a classifier's features are read: before the layer `name`, or after it (`after`).

    `weight` float32 `[K,D]` and `bias` `[K]` are those of a linear last layer: logits = features @ weight.T + bias, up
    to a number that all classes share; None where the last layer is not linear.
    """

    name: str
    after: bool = False
    weight: Tensor | None = None
    bias: Tensor | None = None

    def read(self, classifier: Classifier, images: Tensor) -> tuple[Tensor, Tensor]:
        """Compute logits `[B,K]` and features `[B,D]` of trusted images in one pass, detached."""
        with torch.no_grad():
            if self.after:
                found = classifier.record(images, (LOGITS, self.name))
                return found[LOGITS], pooled(found[self.name])
            with inputs_of(classifier.module.get_submodule(self.name)) as seen:
                logits = classifier.record(images, (LOGITS,))[LOGITS]
        return logits, pooled(seen[-1])


@contextmanager
def inputs_of(layer: nn.Module) -> Iterator[list[Tensor]]:
    """Collect what enters a layer in this thread while the block runs, detached.

    >>> layer = nn.Linear(3, 2)
    >>> with inputs_of(layer) as seen:
    ...     output = layer(torch.zeros(4, 3))
    >>> seen[0].shape
    torch.Size([4, 3])
    """
    seen: list[Tensor] = []
    keep = in_this_thread(lambda _, inputs: seen.append(inputs[0].detach()))
    handle = layer.register_forward_pre_hook(keep)
    try:
        yield seen
    finally:
        handle.remove()


def pooled(values: Tensor) -> Tensor:
    """Bring a layer's values to one row per picture `[B,D]`: the mean over places or tokens.

    >>> pooled(torch.ones(2, 3, 4, 4)).shape, pooled(torch.ones(2, 7, 5)).shape
    (torch.Size([2, 3]), torch.Size([2, 5]))
    """
    if values.ndim == 3:
        return values.mean(1)
    return values.flatten(2).mean(2) if values.ndim > 3 else values.reshape(len(values), -1)


def find_last_layer(classifier: Classifier, images: Tensor) -> LastLayer | None:
    """Find where the features of a classifier are, from one look at a few images `[B,C,H,W]`, at least one.

    It is the input of the linear layer (or 1 x 1 convolution) that makes the logits, whatever softmax follows; where
    no linear layer does, the output of the last layer that is not the logits themselves, averaged over places (of class
    maps whose mean the logits are, it is what lies before them); None for a model that shows none of its layers.

    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.Linear(5, 2))
    >>> found = find_last_layer(Classifier.from_module(net, size=2), torch.rand(2, 3, 2, 2))
    >>> found.name, found.weight.shape
    ('2', torch.Size([2, 5]))
    """
    calls: list[tuple[str, nn.Module, Tensor, Tensor]] = []
    handles = []
    for name, part in classifier.module.named_modules():
        if isinstance(part, nn.Linear) or (isinstance(part, nn.Conv2d) and set(part.kernel_size) == {1}):
            handles.append(part.register_forward_hook(in_this_thread(_noting(name, calls))))
    try:
        with torch.no_grad():
            logits = classifier.record(images, (LOGITS,))[LOGITS]
    finally:
        for handle in handles:
            handle.remove()
    for name, part, inputs, output in reversed(calls):
        once = sum(1 for other, *_ in calls if other == name) == 1
        rows = _one_row_each(inputs, output, len(images))
        if once and rows is not None and _makes(rows, logits):
            return _linear(name, part, logits.shape[1])
    return _last_shown(classifier, images, logits)


def _noting(name: str, calls: list[tuple[str, nn.Module, Tensor, Tensor]]):  # type: ignore[no-untyped-def]
    def note(part: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        calls.append((name, part, inputs[0].detach(), output.detach()))

    return note


def _one_row_each(inputs: Tensor, output: Tensor, count: int) -> Tensor | None:
    """Return the layer's output as rows `[B,M]` where it sees one place per picture, else None."""
    single = all(side == 1 for one in (inputs, output) for side in one.shape[2:])
    return output.flatten(1) if single and len(output) == count and output.ndim >= 2 else None


def _makes(rows: Tensor, logits: Tensor) -> bool:
    """Whether a layer's outputs are the logits up to a number per picture, which no softmax sees."""
    rows = rows.to(logits)
    if rows.shape[1] == 1 and logits.shape[1] == 2:
        rows = torch.cat([torch.zeros_like(rows), rows], 1)
    if rows.shape != logits.shape or not bool(logits.isfinite().all()):
        return False
    known, given = rows - rows.mean(1, keepdim=True), logits - logits.mean(1, keepdim=True)
    return bool((known - given).abs().max() <= _TOLERANCE * given.abs().max().clamp(min=1.0))


def _linear(name: str, part: nn.Module, classes: int) -> LastLayer:
    weight = part.weight.detach().float().flatten(1).cpu()  # type: ignore[operator]
    bias = part.bias.detach().float().cpu() if isinstance(part.bias, Tensor) else torch.zeros(len(weight))
    if len(weight) == 1 and classes == 2:
        weight, bias = (torch.cat([torch.zeros_like(one), one]) for one in (weight, bias))
    return LastLayer(name, weight=weight, bias=bias)


def _last_shown(classifier: Classifier, images: Tensor, logits: Tensor) -> LastLayer | None:
    """Find the last layer whose values are not the logits themselves, spread over places or not."""
    try:
        layers = classifier.layers()
    except (LayerError, ModelError):  # a compiled program shows no layers, an unknown input size hides them
        return None
    for one in reversed(layers):
        if one.calls != 1 or len(one.shape) < 2 or one.shape[1:] == logits.shape[1:]:
            continue
        with torch.no_grad():
            values = classifier.record(images, (one.name,))[one.name]
        if not _makes(pooled(values), logits):
            return LastLayer(one.name, after=True)
    return None
