"""The one handle that every function takes: module, normalization, input size, resize rule and labels."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from backlight.classifier import diagnosis
from backlight.classifier.heads import NO_PREDICTION, Head
from backlight.classifier.naming import checked_labels, find_class
from backlight.classifier.network import Network
from backlight.classifier.passport import FIELDS, GEOMETRY, Passport, Source
from backlight.classifier.recording import LOGITS
from backlight.classifier.wrapping import as_module, per_channel
from backlight.core.display import Displayed
from backlight.core.errors import ModelError
from backlight.images import Picture, Resize
from backlight.images.picture import Photograph, read_photograph

if TYPE_CHECKING:
    from backlight.classifier.fast import Probe


class Classifier(Network, Displayed):
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
        head: Head | None = None,
        sources: Mapping[str, Source] | None = None,
        trained: bool = True,
    ) -> None:
        head = Head(labels=labels) if head is None else head
        super().__init__(module, mean=mean, std=std, resize=resize, head=head, name=name)
        self.labels, self.sources, self.trained = labels, dict(sources or {}), trained
        self.aliases: Mapping[str, int] = {}  # names of classes beside their labels, such as WordNet ids
        self.checkpoint = ""  # the file of weights, where one was named

    @classmethod
    def from_module(
        cls,
        module: nn.Module | Callable[[Tensor], Tensor],
        *,
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
        size: int | tuple[int, int] | None = None,
        labels: Sequence[str] | None = None,
        resize: Resize | None = None,
        name: str | None = None,
        outputs: str | None = None,
    ) -> Classifier:
        """Wrap anything that maps normalized images `[B,C,H,W]` to logits `[B,classes]`.

        `mean` and `std` are per channel in `[0,1]` units and are applied here, not in the module; left out they are
        assumed to be 0 and 1, and `.passport` says so. `size` is the input size (h, w) or one side. `outputs` says
        what the module returns: `logits` (assumed), `probabilities`, `log-probabilities`, `binary` (one logit z, read
        as [0, z]) or `multilabel` (a logit or a sigmoid per label). Of a tuple, a dictionary or an object with
        `.logits` the logits are taken. The modules that a function runs are looked for in what it is bound to, closes
        over and names. What is returned is checked on every pass; with a size known, one small pass comes first.

        Raises ModelError where the module does not fit, InputError where mean, std or size do not.

        >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2), nn.Softmax(1))
        >>> Classifier.from_module(net, size=2)
        Traceback (most recent call last):
        backlight.core.errors.ModelError: the model returns probabilities...
        """
        means, stds = per_channel((0.0,) * 3 if mean is None else mean, (1.0,) * 3 if std is None else std)
        stated: dict[str, object] = {
            "mean": mean,
            "std": std,
            "size": size,
            "labels": labels or None,
            "outputs": outputs,
        }
        stated |= dict.fromkeys(GEOMETRY, resize) if resize is not None else {}
        if resize is None and size is not None:
            sides = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
            resize = Resize(min(sides), sides)
        network = as_module(module)
        if mean is None and std is None and diagnosis.inner_normalization(network) is not None:
            stated |= {"mean": means, "std": stds}  # the module states its own, and none is right out here
        names = checked_labels(labels if labels is not None else ())
        classifier = cls(
            network,
            mean=means,
            std=stds,
            resize=resize,
            labels=names,
            name=name or type(network).__name__,
            head=Head(outputs or "logits", names),
            sources={field: "assumed" if stated.get(field) is None else "given" for field in FIELDS},
        )
        diagnosis.diagnose(classifier)
        return classifier

    @cached_property
    def classes(self) -> int:
        """Count the classes: the number of labels, or of logits in a dry run."""
        return len(self.labels) or len(self._logits_of_blank)

    @cached_property
    def _logits_of_blank(self) -> Tensor:
        with torch.no_grad():
            return self.record(self._blank(), (LOGITS,))[LOGITS][0]

    @property
    def passport(self) -> Passport:
        """Return normalization, geometry, labels, outputs and weights, each with its source."""
        return Passport(
            self.name,
            self.module,
            self.mean,
            self.std,
            self.resize,
            self.labels,
            self.outputs,
            self.sources,
            self.trained,
        )

    @property
    def doubts(self) -> tuple[str, ...]:
        """Return what was seen so far that makes every number doubtful, a sentence each.

        What a model's values look like says nothing of one that was never trained.
        """
        seen = self.head.doubt if self.trained else ""
        return tuple(filter(None, (*self._doubts, seen)))

    def check(self, images: Tensor) -> Tensor:
        """Check images at the door, on every public entry, and return them on the module's device.

        Raises InputError that names range, shape and dtype and says what to change.
        """
        return diagnosis.check_images(images, self.channels).to(self.device)

    def logits(self, images: Tensor) -> Tensor:
        """Compute logits `[B,classes]` of images `[B,C,H,W]` in `[0,1]`."""
        return self.record(self.check(images), (LOGITS,))[LOGITS]

    def probabilities(self, images: Tensor) -> Tensor:
        """Compute probabilities `[B,classes]` of images `[B,C,H,W]`: softmax, or a sigmoid per label."""
        return self.head.probabilities(self.logits(images))

    def question(self, label: str | int) -> Classifier:
        """Return the two-class classifier of one label of a multi-label model: "not LABEL" or "LABEL", logits [0, z].

        Attacks and fooling images need one question: `attack(classifier.question("dog"), images)`.

        Raises ModelError for any other model, InputError for an unknown label.

        >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
        >>> many = Classifier.from_module(net, size=2, labels=["sky", "sea", "sun"], outputs="multilabel")
        >>> many.question("sea").labels
        ('not sea', 'sea')
        """
        if not self.multilabel:
            raise ModelError(f"{self.name} is no multi-label model", expected="outputs='multilabel'")
        index = self.class_index(label)
        name = self.label(index)
        return self.replace(
            labels=(f"not {name}", name), head=Head(self.outputs, self.labels, column=index, tail=self.head.tail)
        )

    def features(self, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """Compute the outputs of named layers for images `[B,C,H,W]` in `[0,1]`."""
        return self.record(self.check(images), layers)

    def read(self, path: str | os.PathLike[str]) -> Picture:
        """Read a picture file as this classifier wants it, with the crop box that maps back onto the file."""
        return self.read_photograph(path).picture

    def read_photograph(self, path: str | os.PathLike[str]) -> Photograph:
        """Read a picture file as `read` does, and keep the whole photograph beside it."""
        if self.resize is None:
            raise ModelError("the model's input size is unknown", hint="Classifier.from_module(..., size=224)")
        return read_photograph(path, self.resize, channels=self.channels)

    @property
    def title(self) -> str:
        """Name the classifier for people: by its file of weights where one was named, else by its specification."""
        return f"{self.checkpoint} ({self.name})" if self.checkpoint else self.name

    def label(self, index: int) -> str:
        """Name a class, by its number where there are no labels; -1 is where no prediction is well defined."""
        if index < 0:
            return NO_PREDICTION
        return self.labels[index] if self.labels else str(index)

    def class_index(self, label: str | int) -> int:
        """Find a class by its exact label, its number, or a synonym; `label:NAME` and `index:10` say which is meant.

        Raises InputError that lists the nearest labels, and for what may mean several classes.
        """
        return find_class(self.labels, self.classes, label, self.aliases)

    def fingerprint_parts(self) -> tuple[object, ...]:
        """Return what decides about the logits, for `fingerprint`."""
        return self.module, self.mean, self.std, self.outputs, self.head.column

    def fast(self, *, keep: Sequence[str] = (), memory_format: str = "auto") -> Classifier:
        """Make a private, frozen, faster copy whose logits agree within 1e-4 of their range.

        BatchNorm is folded into the convolution before it, except where that convolution is in `keep`;
        `memory_format` is `auto` (what suits such a network), `contiguous` or `channels_last`. `.probe` on the result
        says what was done. Where the copy disagrees or cannot be made, the original comes back with the reason.
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
        head: Head | None = None,
        probe: Probe | None = None,
    ) -> Classifier:
        """Return the same classifier with another module, resize rule, labels, name, head or probe.

        Another module is one of the same kind, whose head is read in the same way. A probe belongs to its module: with
        another module it is dropped unless one is given.

        >>> before = Classifier.from_module(nn.Flatten(), labels=["a", "b"])
        >>> before.replace(module=nn.Linear(2, 2)).labels
        ('a', 'b')
        """
        labels = self.labels if labels is None else labels
        other = Classifier(
            self.module if module is None else module,
            mean=self.mean,
            std=self.std,
            resize=resize or self.resize,
            labels=labels,
            name=name or self.name,
            head=head or Head(self.outputs, labels, column=self.head.column, tail=self.head.tail, seen=self.head.seen),
            sources=self.sources,
            trained=self.trained,
        )
        other.probe = self.probe if probe is None and module is None else probe
        other.notes, other._doubts = self.notes, self._doubts
        other.aliases, other.checkpoint = self.aliases if labels == self.labels else {}, self.checkpoint
        return other

    def __repr__(self) -> str:
        size = f"{self.size[0]}x{self.size[1]}" if self.size else "any size"
        return f"Classifier({self.name}, {self.channels} channels, {size}, {len(self.labels) or '?'} labels)"
