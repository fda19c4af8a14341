"""From a specification to a classifier: build, fetch or draw the weights, and name what was assumed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from backlight.classifier import Classifier
from backlight.classifier.naming import checked_labels
from backlight.classifier.passport import Source
from backlight.core.errors import ModelError, UsageError
from backlight.models.blueprint import Blueprint, ModelShape
from backlight.models.checkpoint import read_checkpoint
from backlight.models.fetch import OFFLINE_HINT
from backlight.models.labels import imagenet_aliases, imagenet_labels, read_labels
from backlight.models.registry import DEFAULT, find_blueprint
from backlight.models.sidecar import find_passport, read_passport
from backlight.models.stated import Stated
from backlight.models.weights import first_channels, fitted, head_classes, load_state

DEFAULT_TEMPLATES = ("a photo of a {}.",)


def load(
    spec: str | os.PathLike[str] = DEFAULT,
    *,
    random: bool = False,
    weights: str | os.PathLike[str] | None = None,
    labels: Sequence[str] | str | os.PathLike[str] | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    size: str | int | Sequence[int] | None = None,
    resize: int | None = None,
    crop: str | float | None = None,
    interpolation: str | None = None,
    outputs: str | None = None,
    classes: Sequence[str] | str | os.PathLike[str] | None = None,
    templates: Sequence[str] | str | os.PathLike[str] | None = None,
    seed: int = 0,
    device: str | torch.device = "auto",
) -> Classifier:
    """Load a classifier by its specification.

    `spec` is `efficientnet_lite0` (its weights are installed with Backlight), `timm:NAME`, `torchvision:NAME`,
    `hf-hub:ORG/NAME`, `file.py:factory` (which is run), one of our networks by name, or a folder with weights and the
    `model.json` that names their architecture. The published weights
    are taken from the local caches, else from the network; with `random` they are drawn from `seed`, the global
    generators untouched; with `weights` they are read from a file without running code, and the number
    of classes from its head.

    What is stated here replaces what a `model.json` beside the weights states, and that the model's own: `labels`
    (names, or a file of names), `mean` and `std` (per channel, in `[0,1]` units), `size` (pixels; height, width),
    `resize` (the shorter side before the crop), `crop` (`center`, `squash`, the share that is kept, or the input
    size), `interpolation` and `outputs`. A model of images and texts (`clip:`) is made for `classes`, names or a file
    of names, in the `templates` ("a photo of a {}."). The source of each stands in `.passport`, and what was peeled
    off a checkpoint or left out in `.notes`.

    Raises UsageError for unknown specifications, FileError for files, ModelError where the weights do not fit
    or cannot be had, with what to do instead.

    >>> load("timm:resnet18", random=True, size=32).logits(torch.rand(1, 3, 32, 32)).shape
    torch.Size([1, 1000])
    """
    if random and weights is not None:
        raise UsageError("both random weights and a file of weights", expected="one of them")
    given = Stated(mean, std, size, resize, crop, interpolation, _read_names(labels) or None, outputs)
    blueprint = find_blueprint(os.fspath(spec), _checked_seed(seed))
    if weights is None and not random:
        weights = blueprint.weights or None
    if classes is not None or templates is not None:
        blueprint = _for_classes(blueprint, _read_names(classes), _read_names(templates))
    blueprint, names, sides = _as_stated(blueprint, given, weights)
    shape = ModelShape(len(names) or None if random else None, sides, len(blueprint.mean))
    module, shape, note = _built(blueprint, shape, weights, random=random)
    if weights is not None:
        blueprint = _for_channels(blueprint, shape.channels)
    if not names and shape.classes in (None, blueprint.classes):
        names = blueprint.labels
    classifier = as_classifier(blueprint, module.to(_device(device)).eval(), names, trained=not random)
    classifier.take_note(note)
    classifier.checkpoint = Path(weights).name if weights is not None else ""
    return classifier


def as_classifier(
    blueprint: Blueprint, module: nn.Module, labels: Sequence[str] = (), *, trained: bool = True
) -> Classifier:
    """Wrap a built module with the normalization, resize rule, name and sources of its blueprint.

    Raises ModelError as `Classifier.from_module` does.

    >>> blueprint = find_blueprint("classic_cnn")
    >>> as_classifier(blueprint, blueprint.build(ModelShape(classes=3))).classes
    3
    """
    classifier = Classifier.from_module(
        module,
        mean=blueprint.mean,
        std=blueprint.std,
        resize=blueprint.resize,
        name=blueprint.spec,
        outputs=blueprint.outputs,
        labels=labels,
    )
    own: Source = blueprint.sources["labels"] if tuple(labels) == blueprint.labels else "given"
    classifier.sources = {**blueprint.sources, "labels": own if labels else "assumed"}
    classifier.trained = trained
    if classifier.labels == imagenet_labels():
        classifier.aliases = imagenet_aliases()
    return classifier


def _for_classes(blueprint: Blueprint, classes: Sequence[str], templates: Sequence[str]) -> Blueprint:
    if blueprint.with_classes is None:
        raise UsageError(f"classes for {blueprint.spec}", expected="a model of images and texts", hint="labels instead")
    if not classes:
        raise UsageError("templates without classes", hint="--classes FILE, or classes=[...]")
    odd = next((one for one in templates if "{}" not in one), None)
    if odd is not None:
        raise UsageError(f"the template {odd!r}", expected="{} where the name of the class goes")
    return blueprint.with_classes(checked_labels(classes), tuple(templates) or DEFAULT_TEMPLATES)


def _as_stated(
    blueprint: Blueprint, given: Stated, weights: str | os.PathLike[str] | None
) -> tuple[Blueprint, Sequence[str], tuple[int, int] | None]:
    """Replace in a blueprint what is stated beside the weights and by the caller; return labels and sides too."""
    if weights is not None:
        blueprint = _with_foreign_weights(blueprint)
    stated = _beside(weights if weights is not None else blueprint.place, blueprint)
    if blueprint.resize is None:  # or what the file says of the crop would lack an input size
        blueprint = Stated(size=given.sides).apply(blueprint, "given")
    blueprint = given.apply(stated.apply(blueprint, "passport"), "given")
    return blueprint, given.labels or stated.labels or (), given.sides or stated.sides


def _with_foreign_weights(blueprint: Blueprint) -> Blueprint:
    """Assume what the library knows of its own weights, for weights that somebody else trained."""
    sources = {name: "assumed" if source == "library" else source for name, source in blueprint.sources.items()}
    return replace(blueprint, sources=sources)


def _beside(place: str | os.PathLike[str], blueprint: Blueprint) -> Stated:
    """Read the `model.json` in a folder or beside a file, but for what the model's own code states."""
    path = find_passport(place) if place else None
    if path is None:
        return Stated()
    stated = read_passport(path)
    return replace(stated, **{name: None for name in stated.names if blueprint.sources.get(name) == "given"})


def _built(
    blueprint: Blueprint, shape: ModelShape, weights: str | os.PathLike[str] | None, *, random: bool
) -> tuple[nn.Module, ModelShape, str]:
    """Build a module with weights of a file, random or published ones; return what it came to, and a note."""
    if weights is not None:
        return _from_file(blueprint, shape, weights)
    return (_drawn if random else _published)(blueprint, shape), shape, ""


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
) -> tuple[nn.Module, ModelShape, str]:
    checkpoint = read_checkpoint(path)
    module = blueprint.build(shape)
    checkpoint = fitted(checkpoint, module)
    channels = first_channels(module, checkpoint)
    if channels is not None:
        shape = shape._replace(channels=channels)
        module = blueprint.build(shape)
    classes = head_classes(module, checkpoint, blueprint.classes)
    if classes is not None:
        shape = shape._replace(classes=classes)
        module = blueprint.build(shape)
    return load_state(module, checkpoint), shape, checkpoint.describe()


def _for_channels(blueprint: Blueprint, channels: int) -> Blueprint:
    """Repeat a normalization that is the same in every channel, or average an assumed one, for another number of them.

    Raises UsageError for one that somebody stated per channel.
    """
    ends: dict[str, tuple[float, ...]] = {}
    for name, values in (("mean", blueprint.mean), ("std", blueprint.std)):
        if len(values) != channels and len(set(values)) > 1 and blueprint.sources.get(name) != "assumed":
            found = f"a {name} of {len(values)} channels for weights of {channels}"
            raise UsageError(found, expected="a number for each channel, or one for all")
        one = values[0] if len(set(values)) == 1 else sum(values) / len(values)
        ends[name] = values if len(values) == channels else (one,) * channels
    return replace(blueprint, mean=ends["mean"], std=ends["std"])


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
