"""A network with its normalization: looked through once per call, and left as it was."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from backlight.classifier import diagnosis
from backlight.classifier.guard import Hold, untouched
from backlight.classifier.heads import Head
from backlight.classifier.hidden import hidden_modules
from backlight.classifier.recording import LOGITS, Layer, list_layers, record_layers, split_call
from backlight.core.errors import LayerError, ModelError, did_you_mean
from backlight.images import Resize

if TYPE_CHECKING:
    from backlight.classifier.fast import Probe


class Network:
    """What is run: a module, the normalization before it, the head that reads its output, and the size of its input.

    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    >>> network = Network(net, mean=(0.5,) * 3, std=(0.5,) * 3, resize=None, head=Head(), name="linear")
    >>> network.record(torch.rand(5, 3, 2, 2), ["logits"])["logits"].shape
    torch.Size([5, 2])
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        resize: Resize | None,
        head: Head,
        name: str,
    ) -> None:
        self.module, self.mean, self.std = module, mean, std
        self.resize, self.head, self.name = resize, head, name
        self.probe: Probe | None = None  # what the fast copy is, where this is one
        self.notes: tuple[str, ...] = ()  # what had to be assumed or was left out
        self._doubts: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int] | None:
        """Return the input size (height, width), or None where any size goes and none was named."""
        return self.resize.size if self.resize else None

    @property
    def outputs(self) -> str:
        """Return what the module returns, as `from_module` takes it."""
        return self.head.kind

    @property
    def multilabel(self) -> bool:
        """Whether each label is a question of its own, answered by a sigmoid."""
        return self.head.multilabel

    @property
    def channels(self) -> int:
        """Count the input channels."""
        return len(self.mean)

    @property
    def device(self) -> torch.device:
        """Return the device of the module's first parameter or buffer."""
        return self._anchor.device

    @property
    def dtype(self) -> torch.dtype:
        """Return the floating dtype of the module's parameters."""
        return self._anchor.dtype

    @property
    def _anchor(self) -> Tensor:
        # Looked up anew each time: the caller may move the module.
        # Chained, not listed: most modules answer with their first parameter, and every pass asks.
        for tensor in chain(self.module.parameters(), self.module.buffers()):
            if tensor.is_floating_point():
                return tensor
        return torch.empty(0)

    def _blank(self) -> Tensor:
        if self.size is None:
            raise ModelError("the model's input size is unknown", hint="Classifier.from_module(..., size=224)")
        return torch.full((1, self.channels, *self.size), 0.5, device=self.device)

    @cached_property
    def _layers(self) -> tuple[Layer, ...]:
        with self.guard() as hold, hold.lock:
            return list_layers(self.module, self.normalize(self._blank()))

    @cached_property
    def _hidden(self) -> tuple[nn.Module, ...]:
        return tuple(hidden_modules(self.module).values())

    def layers(self) -> tuple[Layer, ...]:
        """List the layers that can be recorded, in the order in which they run (one cached dry run)."""
        return self._layers

    @contextmanager
    def guard(self) -> Iterator[Hold]:
        """Hold the module in evaluation mode, frozen, and restore it exactly afterwards.

        May be nested and shared by threads: the last to leave restores.
        """
        with untouched(self.module, *self._hidden) as hold:
            yield hold

    def take_note(self, note: str) -> None:
        """Add to `.notes` what a reader of any number must know; what is there already stays once."""
        if note and note not in self.notes:
            self.notes = (*self.notes, note)

    def take_doubt(self, doubt: str) -> None:
        """Add to `.doubts`; what is there already stays once."""
        if doubt and doubt not in self._doubts:
            self._doubts = (*self._doubts, doubt)

    def normalize(self, images: Tensor) -> Tensor:
        """Turn images in `[0,1]` into what the module takes, in its dtype."""
        shape = (1, -1, 1, 1)
        images = images.to(self.dtype)
        mean = torch.tensor(self.mean, dtype=self.dtype, device=images.device).view(shape)
        std = torch.tensor(self.std, dtype=self.dtype, device=images.device).view(shape)
        normalized = (images - mean) / std
        if self.probe is not None and self.probe.memory_format == "channels_last":
            normalized = normalized.contiguous(memory_format=torch.channels_last)
        return normalized

    def record(self, images: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """Run one pass on trusted images and return the outputs of `layers` (`logits` is one).

        Differentiable in the caller's grad mode. The pass stops at the deepest layer where `logits` is not
        wanted. Logits are float32, or float64 for float64 modules.
        """
        wanted = set(layers)
        self._check_layers(wanted)
        if LOGITS in wanted and self.head.tail is None and len(images):
            diagnosis.settle(self, images[:1].detach())
        with self.guard() as hold, hold.lock:
            found = record_layers(self.module, self.normalize(images), wanted, width=self.head.width)
        if found.output is None:
            return found.layers
        self.take_note(found.output.note)
        return {**found.layers, LOGITS: self.head.logits(found.output.values)}

    def _check_layers(self, wanted: set[str]) -> None:
        inner = wanted - {LOGITS}
        if not inner or self.size is None:
            return
        known = {layer.name: layer for layer in self.layers()}
        for layer in inner:
            name, call = split_call(layer)
            if name not in known:
                raise LayerError(f"no layer {name!r} in {self.name}", hint=did_you_mean(name, known))
            if self.probe is not None and name in self.probe.folded:
                raise LayerError(f"layer {name!r} is folded in the fast copy", hint=f"fast(keep=[{name!r}])")
            if call >= known[name].calls or (known[name].calls > 1 and "#" not in layer):
                calls = known[name].calls
                raise LayerError(
                    f"layer {layer!r}: {name!r} runs {calls} times in a pass",
                    hint=f"'{name}#0' to '{name}#{calls - 1}'",
                )
