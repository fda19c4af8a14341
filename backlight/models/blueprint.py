"""What a model's specification stands for, before any weight exists: how to build it and how to feed it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import nn

from backlight.classifier.passport import FIELDS, Source
from backlight.images import Resize


class ModelShape(NamedTuple):
    """The classes, the input size (height, width) and the channels to build for; None is the model's own.

    >>> ModelShape(classes=10).channels
    3
    """

    classes: int | None = None
    size: tuple[int, int] | None = None
    channels: int = 3


def from_one_source(source: Source) -> dict[str, Source]:
    """Return the sources of a model all of whose values come from one.

    >>> from_one_source("run")["mean"]
    'run'
    """
    return dict.fromkeys(FIELDS, source)


@dataclass(frozen=True)
class Blueprint:
    """A model that can be built: with random weights, drawn from one seed, or with its published ones.

    `classes` is what the model has by itself (0 where only building it tells), `labels` name these. `resize`
    is None where any size goes; `outputs` is what the module returns, as in `Classifier.from_module`.
    `sources` says where mean, std, geometry, labels and outputs come from. `no_pretrained` and `no_random` say why a
    kind of weights cannot be had; `place` is the file or folder beside which a `model.json` may lie, `weights` a
    file of weights that come with the specification.
    `with_classes` makes the blueprint for names of classes and templates of text, of models that take these.

    >>> net = Blueprint("linear", lambda shape: nn.Linear(4, shape.classes or 2))
    >>> net.build(ModelShape(classes=3)).out_features
    3
    """

    spec: str
    build: Callable[[ModelShape], nn.Module]
    pretrained: Callable[[ModelShape], nn.Module] | None = None
    classes: int = 0
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    resize: Resize | None = None
    labels: tuple[str, ...] = ()
    outputs: str = "logits"
    no_pretrained: str = ""
    no_random: str = ""
    place: str = ""
    weights: str = ""
    with_classes: Callable[[Sequence[str], Sequence[str]], Blueprint] | None = None
    sources: Mapping[str, Source] = field(default_factory=lambda: from_one_source("library"))


IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from torch's CPU generator as if freshly seeded, and leave its state as it was.

    >>> with seeded(1):
    ...     first = torch.rand(2)
    >>> with seeded(1):
    ...     bool((torch.rand(2) == first).all())
    True
    """
    # torch.manual_seed would also reseed accelerators; weights are drawn on the CPU and need its generator only.
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(seed)
        yield
