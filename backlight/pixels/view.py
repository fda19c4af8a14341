"""What measures look at: one chunk of pictures, and what the classifier makes of them."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import overload

import torch
from torch import Tensor

from backlight.classifier import Classifier
from backlight.classifier.heads import Head
from backlight.core.errors import InputError, LayerError


class View:
    """Show pictures, logits and declared layers from one forward pass, which runs when first asked for.

    `images` are `[A,C,H,W]` in `[0,1]`; `rows` their places `[A]` in the caller's batch of `batch` images (by
    default they are the batch); `t` the turn; `params` `[A,...]` what the pictures were made of. Only the declared
    `layers` can be read: the pass stops at the deepest of them.

    >>> from torch import nn
    >>> classifier = Classifier.from_module(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), size=2)
    >>> View(classifier, torch.rand(5, 3, 2, 2), layers=["logits"]).logits.shape
    torch.Size([5, 2])
    """

    def __init__(
        self,
        classifier: Classifier | None,
        images: Tensor,
        *,
        layers: Iterable[str] = (),
        rows: Tensor | None = None,
        batch: int | None = None,
        t: int = 0,
        params: Tensor | None = None,
    ) -> None:
        self.images, self.t, self.layers = images, t, frozenset(layers)
        self.params = images if params is None else params
        self.rows = torch.arange(len(images), device=images.device) if rows is None else rows
        self.batch = len(images) if batch is None else batch
        self._classifier = classifier
        self._outputs: dict[str, Tensor] | None = None
        self._picked: dict[int, tuple[Tensor, Tensor]] = {}

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, layer: str) -> Tensor:
        """Return a declared layer's output; raises LayerError for any other."""
        if layer not in self.layers:
            raise LayerError(
                f"layer {layer!r} was not declared",
                expected=f"one of {sorted(self.layers)}",
                hint="Measure(layers=...)",
            )
        if self._outputs is None:
            if self._classifier is None:
                raise InputError(f"layer {layer!r} without a classifier")
            self._outputs = self._classifier.record(self.images, self.layers)
        return self._outputs[layer]

    @property
    def logits(self) -> Tensor:
        """Return the logits `[A,classes]`; they must be declared as the layer "logits"."""
        return self["logits"]

    @property
    def looked_at(self) -> bool:
        """Whether the forward pass has run."""
        return self._outputs is not None

    @cached_property
    def head(self) -> Head:
        """Return what the classifier's logits mean; plain logits where there is no classifier."""
        return Head() if self._classifier is None else self._classifier.head

    @cached_property
    def well_defined(self) -> Tensor:
        """Describe which images have a prediction: bool `[A]`, see `backlight.classifier.heads.well_defined`."""
        return self.head.well_defined(self.logits)

    @overload
    def pick(self, values: Tensor) -> Tensor: ...
    @overload
    def pick(self, values: float) -> float: ...
    @overload
    def pick(self, values: float | Tensor) -> float | Tensor: ...
    def pick(self, values: float | Tensor) -> float | Tensor:
        """Take these images' rows of a per-image tensor `[B,...]`; numbers and tensors `[1,...]` are shared.

        Whatever belongs to the caller's images must be read through this: images leave the batch.

        Raises InputError when the tensor's length is neither 1 nor the batch's.

        >>> view = View(None, torch.rand(2, 3, 4, 4), rows=torch.tensor([5, 7]), batch=9)
        >>> view.pick(torch.arange(9)), view.pick(0.5)
        (tensor([5, 7]), 0.5)
        """
        if not isinstance(values, Tensor) or values.ndim == 0:
            return values
        if len(values) not in (1, self.batch):
            raise InputError(f"{len(values)} values for {self.batch} images", expected="one value, or one per image")
        # Objective and verdicts ask for the same labels; the first tensor is held, so that its id stays its own.
        if id(values) not in self._picked:
            self._picked[id(values)] = (values, self._pick(values.to(self.images.device)))
        return self._picked[id(values)][1]

    def _pick(self, values: Tensor) -> Tensor:
        if self.batch > 1 and len(values) == self.batch:
            return values[self.rows]
        # Autograd cannot save a tensor that was made in inference mode.
        return values.clone() if values.is_inference() else values


def guarded(classifier: Classifier | None) -> AbstractContextManager[object]:
    """Hold the classifier in its guard; without a classifier there is nothing to hold."""
    return nullcontext() if classifier is None else classifier.guard()
