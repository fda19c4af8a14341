"""From a specification to a classifier: build, fetch or draw the weights, and name what was assumed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn

from backlight.classifier import Classifier
from backlight.errors import ModelError, UsageError
from backlight.images import Resize
from backlight.models.blueprint import Blueprint, ModelShape
from backlight.models.fetch import OFFLINE_HINT
from backlight.models.labels import read_labels
from backlight.models.registry import DEFAULT, find_blueprint
from backlight.models.weights import head_classes, load_state, read_checkpoint


def load(
    spec: str = DEFAULT,
    *,
    random: bool = False,
    weights: str | os.PathLike[str] | None = None,
    labels: Sequence[str] | str | os.PathLike[str] | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    size: int | tuple[int, int] | None = None,
    seed: int = 0,
    device: str | torch.device = "auto",
) -> Classifier:
    """Load a classifier by its specification.

    `spec` is `efficientnet_lite0` (its weights are installed with Backlight), `timm:NAME`, `torchvision:NAME`,
    `hf-hub:ORG/NAME`, `file.py:factory` (which is run), or one of our networks by name. The published weights
    are taken from the local caches, else from the network; with `random` they are drawn from `seed`, the global
    generators untouched; with `weights` they are read from a file without running code, and the number
    of classes from its head. `labels` are names or a file of names; `mean`, `std` (per channel, in `[0,1]` units)
    and `size` (pixels; height, width) replace the model's own. What had to be assumed stands in `.notes`.

    Raises UsageError for unknown specifications, FileError for files, ModelError where the weights do not fit
    or cannot be had, with what to do instead.

    >>> load("timm:resnet18", random=True, size=32).logits(torch.rand(1, 3, 32, 32)).shape
    torch.Size([1, 1000])
    """
    if random and weights is not None:
        raise UsageError("both random weights and a file of weights", expected="one of them")
    names = _read_names(labels)
    blueprint = _overridden(find_blueprint(spec, _checked_seed(seed)), mean, std, size)
    shape = ModelShape(None, _two(size) if size is not None else None, len(blueprint.mean))
    notes = [blueprint.note] if blueprint.note and None in (mean, std, size) else []
    if weights is not None:
        module, shape, peeled = _from_file(blueprint, shape, weights)
        notes += [f"{weights}: peeled {', '.join(peeled)}"] if peeled else []
    elif random:
        shape = shape._replace(classes=len(names) or None)
        module = _drawn(blueprint, shape)
    else:
        module = _published(blueprint, shape)
    if not names and shape.classes in (None, blueprint.classes):
        names = blueprint.labels
    classifier = as_classifier(blueprint, module.to(_device(device)).eval(), names)
    classifier.notes = tuple(notes)
    return classifier


def as_classifier(blueprint: Blueprint, module: nn.Module, labels: Sequence[str] = ()) -> Classifier:
    """Wrap a built module with the normalization, resize rule and name of its blueprint.

    Raises ModelError as `Classifier.from_module` does.

    >>> blueprint = find_blueprint("classic_cnn")
    >>> as_classifier(blueprint, blueprint.build(ModelShape(classes=3))).classes
    3
    """
    return Classifier.from_module(
        module,
        mean=blueprint.mean,
        std=blueprint.std,
        resize=blueprint.resize,
        name=blueprint.spec,
        outputs=blueprint.outputs,
        labels=labels,
    )


def _drawn(blueprint: Blueprint, shape: ModelShape) -> nn.Module:
    if blueprint.no_random:
        raise ModelError(f"random weights do not fit: {blueprint.no_random}", expected="a model by its name")
    return blueprint.build(shape)


def _published(blueprint: Blueprint, shape: ModelShape) -> nn.Module:
    if blueprint.pretrained is None:
        raise ModelError(blueprint.no_pretrained, hint=OFFLINE_HINT)
    return blueprint.pretrained(shape)


def _from_file(
    blueprint: Blueprint, shape: ModelShape, path: str | os.PathLike[str]
) -> tuple[nn.Module, ModelShape, tuple[str, ...]]:
    checkpoint = read_checkpoint(path)
    module = blueprint.build(shape)
    checkpoint = checkpoint.without_prefixes(module)
    classes = head_classes(module, checkpoint, blueprint.classes)
    if classes is not None:
        shape = shape._replace(classes=classes)
        module = blueprint.build(shape)
    return load_state(module, checkpoint), shape, checkpoint.peeled


def _read_names(labels: Sequence[str] | str | os.PathLike[str] | None) -> tuple[str, ...]:
    if labels is None:
        return ()
    return read_labels(labels) if isinstance(labels, (str, os.PathLike)) else tuple(labels)


def _checked_seed(seed: int) -> int:
    if not -(2**63) <= seed < 2**64:
        raise UsageError(f"seed {seed}", expected="a whole number of 64 bits")
    return seed


def _device(device: str | torch.device) -> torch.device:
    if device != "auto":
        try:
            return torch.device(device)
        except RuntimeError:
            raise UsageError(f"device {device!r}", expected="auto, cpu, cuda, cuda:1 or mps") from None
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


def _overridden(
    blueprint: Blueprint,
    mean: float | Sequence[float] | None,
    std: float | Sequence[float] | None,
    size: int | tuple[int, int] | None,
) -> Blueprint:
    # Lists fix the number of channels where both are given; single numbers stand for every channel.
    lengths = [len(values) for values in (mean, std) if isinstance(values, Sequence)]
    channels = max(lengths) if len(lengths) == 2 else max([*lengths, len(blueprint.mean)])
    return replace(
        blueprint,
        mean=_per_channel(blueprint.mean if mean is None else mean, channels),
        std=_per_channel(blueprint.std if std is None else std, channels),
        resize=blueprint.resize if size is None else _scaled(blueprint.resize, _two(size)),
    )


def _per_channel(values: float | Sequence[float], channels: int) -> tuple[float, ...]:
    given = tuple(values) if isinstance(values, Sequence) else (values,)
    return given * channels if len(given) == 1 else given


def _two(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))


def _scaled(rule: Resize | None, size: tuple[int, int]) -> Resize:
    if rule is None:
        return Resize(min(size), size)
    # The same share of the border is cut off as before.
    shorter = None if rule.shorter_side is None else round(rule.shorter_side * min(size) / min(rule.size))
    return replace(rule, size=size, shorter_side=shorter)
