"""The one handle that every function takes: module, normalization, input size, resize rule and labels."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from backlight.classifier import diagnosis
from backlight.classifier.guard import untouched
from backlight.classifier.recording import LOGITS, Layer, list_layers, record_layers, split_call
from backlight.classifier.wrapping import as_module, per_channel
from backlight.errors import InputError, LayerError, ModelError, did_you_mean
from backlight.images import Picture, Resize, read_image

if TYPE_CHECKING:
    from backlight.classifier.fast import Probe


class Classifier:
    """Hold an image classifier so that every function can use it and none can harm it.

    Images are float `[0,1]`, `[B,C,H,W]`, RGB; normalization happens only inside. Build one with
    `Classifier.from_module` or `backlight.load`.

    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    >>> classifier = Classifier.from_module(net, size=2, labels=["cat", "dog"])
    >>> classifier.logits(torch.rand(5, 3, 2, 2)).shape
    torch.Size([5, 2])
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        resize: Resize | None,
        labels: tuple[str, ...] = (),
        name: str = "model",
        outputs: str = "logits",
        probe: Probe | None = None,
    ) -> None:
        self.module, self.mean, self.std = module, mean, std
        self.resize, self.labels, self.name, self.outputs = resize, labels, name, outputs
        self.probe = probe
        self.notes: tuple[str, ...] = ()  # what `load` had to assume
        self._depth = 0

    @classmethod
    def from_module(
        cls,
        module: nn.Module | Callable[[Tensor], Tensor],
        *,
        mean: float | Sequence[float] = (0.0, 0.0, 0.0),
        std: float | Sequence[float] = (1.0, 1.0, 1.0),
        size: int | tuple[int, int] | None = None,
        labels: Sequence[str] | None = None,
        resize: Resize | None = None,
        name: str | None = None,
        outputs: str = "logits",
    ) -> Classifier:
        """Wrap anything that maps normalized images `[B,C,H,W]` to logits `[B,classes]`.

        `mean` and `std` are per channel in `[0,1]` units and are applied here, not in the module. `size` is the
        input size (h, w) or one side. `outputs` says what the module returns: `logits`, `probabilities` or
        `log-probabilities`; the latter two are turned into logits. With a size known, one small pass checks
        the labels' number, a softmax tail and a second normalization.

        Raises ModelError where the module does not fit, InputError where mean, std or size do not.

        >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2), nn.Softmax(1))
        >>> Classifier.from_module(net, size=2)
        Traceback (most recent call last):
        backlight.errors.ModelError: the model returns probabilities...
        """
        means, stds = per_channel(mean, std)
        if resize is None and size is not None:
            sides = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
            resize = Resize(min(sides), sides)
        network = as_module(module)
        classifier = cls(
            network,
            mean=means,
            std=stds,
            resize=resize,
            labels=tuple(labels or ()),
            name=name or type(network).__name__,
            outputs=outputs,
        )
        diagnosis.diagnose(classifier)
        return classifier

    @property
    def size(self) -> tuple[int, int] | None:
        """Return the input size (height, width), or None where any size goes and none was named."""
        return self.resize.size if self.resize else None

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

    @cached_property
    def classes(self) -> int:
        """Count the classes: the number of labels, or of logits in a dry run."""
        return len(self.labels) if self.labels else self._dry_run[1]

    @cached_property
    def _dry_run(self) -> tuple[tuple[Layer, ...], int]:
        if self.size is None:
            raise ModelError("the model's input size is unknown", hint="Classifier.from_module(..., size=224)")
        blank = torch.full((1, self.channels, *self.size), 0.5, device=self.device)
        with self.guard():
            layers, logits = list_layers(self.module, self.normalize(blank))
        return layers, logits.shape[-1]

    def layers(self) -> tuple[Layer, ...]:
        """List the layers that can be recorded, in the order in which they run (one cached dry run)."""
        return self._dry_run[0]

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Hold the module in evaluation mode, frozen, and restore it exactly afterwards; may be nested."""
        if self._depth:
            yield
            return
        self._depth += 1
        try:
            with untouched(self.module):
                yield
        finally:
            self._depth -= 1

    def check(self, images: Tensor) -> Tensor:
        """Check images at the door, on every public entry, and return them on the module's device.

        Raises InputError that names range, shape and dtype and says what to change.
        """
        return diagnosis.check_images(images, self.channels).to(self.device)

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
        with self.guard():
            outputs = record_layers(self.module, self.normalize(images), wanted)
        if LOGITS in outputs:
            outputs[LOGITS] = self._as_logits(outputs[LOGITS])
        return outputs

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

    def _as_logits(self, output: Tensor) -> Tensor:
        if output.ndim != 2:
            raise ModelError(f"the model returns shape {tuple(output.shape)}", expected="logits [B, classes]")
        if self.labels and output.shape[1] != len(self.labels):
            raise ModelError(f"{len(self.labels)} labels for a model with {output.shape[1]} classes")
        logits = output if output.dtype == torch.float64 else output.float()
        if self.outputs == "probabilities":
            # log p equals the logits up to a constant per image, which no measure of ours depends on.
            logits = logits.clamp(min=torch.finfo(logits.dtype).tiny).log()
        return logits

    def logits(self, images: Tensor) -> Tensor:
        """Compute logits `[B,classes]` of images `[B,C,H,W]` in `[0,1]`."""
        return self.record(self.check(images), (LOGITS,))[LOGITS]

    def probabilities(self, images: Tensor) -> Tensor:
        """Compute softmax probabilities `[B,classes]` of images `[B,C,H,W]` in `[0,1]`."""
        return self.logits(images).softmax(dim=1)

    def features(self, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """Compute the outputs of named layers for images `[B,C,H,W]` in `[0,1]`."""
        return self.record(self.check(images), layers)

    def read(self, path: str | os.PathLike[str]) -> Picture:
        """Read a picture file as this classifier wants it, with the crop box that maps back onto the file."""
        if self.resize is None:
            raise ModelError("the model's input size is unknown", hint="Classifier.from_module(..., size=224)")
        return read_image(path, self.resize, channels=self.channels)

    def label(self, index: int) -> str:
        """Name a class, by its number where there are no labels."""
        return self.labels[index] if self.labels else str(index)

    def class_index(self, label: str | int) -> int:
        """Find a class by label (any of its comma-separated synonyms, case ignored) or by number.

        Raises InputError that lists the nearest labels.
        """
        if isinstance(label, int) or label.lstrip("-").isdigit():
            index = int(label)
            if not 0 <= index < self.classes:
                raise InputError(f"class {index}", expected=f"0 to {self.classes - 1}")
            return index
        synonyms: dict[str, int] = {}
        for index, names in enumerate(self.labels):
            for name in (names, *names.split(",")):
                synonyms.setdefault(name.strip().lower(), index)
        found = synonyms.get(label.strip().lower())
        if found is None:
            raise InputError(f"no class {label!r} in {self.name}", hint=did_you_mean(label.lower(), synonyms))
        return found

    def fingerprint_parts(self) -> tuple[object, ...]:
        """Return what decides about the logits, for `fingerprint`."""
        return self.module, self.mean, self.std, self.outputs

    def fast(self, *, keep: Sequence[str] = (), memory_format: str = "auto") -> Classifier:
        """Make a private, frozen, faster copy whose logits agree within 1e-4 of their range.

        BatchNorm is folded into the convolution before it, except where that convolution is in `keep`;
        `memory_format` is `auto` (one timed probe), `contiguous` or `channels_last`. `.probe` on the result says
        what was done. Where the copy disagrees or cannot be made, the original comes back with the reason.
        """
        from backlight.classifier.fast import make_fast

        return make_fast(self, keep=frozenset(keep), memory_format=memory_format)

    def replace(
        self,
        *,
        module: nn.Module | None = None,
        resize: Resize | None = None,
        labels: tuple[str, ...] | None = None,
        name: str | None = None,
        probe: Probe | None = None,
    ) -> Classifier:
        """Return the same classifier with another module, resize rule, labels, name or probe.

        A probe belongs to its module: with another module it is dropped unless one is given.

        >>> before = Classifier.from_module(nn.Flatten(), labels=["a", "b"])
        >>> before.replace(module=nn.Linear(2, 2)).labels
        ('a', 'b')
        """
        return Classifier(
            self.module if module is None else module,
            mean=self.mean,
            std=self.std,
            resize=resize or self.resize,
            labels=self.labels if labels is None else labels,
            name=name or self.name,
            outputs=self.outputs,
            probe=self.probe if probe is None and module is None else probe,
        )

    def __repr__(self) -> str:
        size = f"{self.size[0]}x{self.size[1]}" if self.size else "any size"
        return f"Classifier({self.name}, {self.channels} channels, {size}, {len(self.labels) or '?'} labels)"
