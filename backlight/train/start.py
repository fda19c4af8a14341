"""The classifier that training starts from: a new network made for the data, or a trained one with a new head."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from backlight.classifier import Classifier
from backlight.core.errors import DataError, FileError, ModelError, UsageError
from backlight.data.dataset import Dataset
from backlight.images import Resize
from backlight.models.blueprint import Blueprint, ModelShape
from backlight.models.loader import as_classifier, load
from backlight.models.registry import find_blueprint
from backlight.models.stated import scaled
from backlight.runs.folder import is_run
from backlight.train.layers import order_head, replace_head

_WHITENING_IMAGES, _WHITENING_VALUES = 5000, 5000 * 3 * 32 * 32
_LOOKED_AT = 16


@runtime_checkable
class WhitensItsInput(Protocol):
    """A network whose first layer is set from training pictures before training begins."""

    def whiten(self, images: Tensor) -> None:
        """Set it from normalized pictures `[N,C,H,W]`."""


def start_classifier(
    spec: str,
    data: Dataset,
    *,
    pretrained: bool = False,
    weights: str | os.PathLike[str] | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    seed: int = 0,
    size: tuple[int, int] | None = None,
    device: torch.device | str = "cpu",
) -> Classifier:
    """Build the model that `spec` names for the classes of a data set.

    A new network takes pictures of the data's own size where they have one, else of its own; its weights depend
    on `seed` alone. A `pretrained` one keeps its published weights and input size; so does one with a file of
    `weights`, whose normalization is `mean` and `std`, and so do a run folder and a folder of weights, which are gone
    on from. Of pictures smaller than that nothing is cut off. Its last linear layer stays where it is for the classes
    of the data, by their names, or by their number where it has no names; else it is replaced by a new one. `size`
    (height, width) replaces the input size. A network that whitens its input, as `speed_cnn` does, gets its filters
    from the data unless it was trained.

    Raises UsageError for unknown specifications and for several kinds of weights, DataError for data of fewer than two
    classes, ModelError where published weights cannot be had, FileError for files.

    >>> from backlight.data.load import load_data
    >>> data = load_data("shapes:n=20,size=16,classes=3")
    >>> start_classifier("classic_cnn", data)
    Classifier(classic_cnn, 3 channels, 16x16, 3 labels)
    """
    _check_labels(data)
    if pretrained and weights is not None:
        raise UsageError("both published weights and a file of weights", expected="one of them")
    blueprint = find_blueprint(spec, seed)
    common = _common_size(data)
    if weights is not None or blueprint.weights or is_run(spec):
        trained = load(spec, weights=weights, mean=mean, std=std, size=size, seed=seed, device=device)
        return _settled(_gone_on_from(trained, data, common, seed))
    if mean is not None or std is not None:
        raise UsageError("a normalization without weights", expected="weights that were trained with it")
    sides = size or (None if pretrained else common)
    if sides is not None:
        blueprint = replace(blueprint, resize=scaled(blueprint.resize, sides))
    if pretrained:
        trained = _published(blueprint, sides, device)
        return _settled(_gone_on_from(trained, data, common, seed))
    module = blueprint.build(ModelShape(len(data.label_names), sides, len(blueprint.mean)))
    classifier = _settled(as_classifier(blueprint, module.to(device), data.label_names))
    if isinstance(module, WhitensItsInput):
        module.whiten(classifier.normalize(_some_images(classifier, data).to(device)))
    return classifier


def _published(blueprint: Blueprint, sides: tuple[int, int] | None, device: torch.device | str) -> Classifier:
    if blueprint.pretrained is None:
        raise ModelError(blueprint.no_pretrained, hint="leave out --pretrained")
    module = blueprint.pretrained(ModelShape(None, sides, len(blueprint.mean)))
    return as_classifier(blueprint, module.to(device), blueprint.labels)


def _check_labels(data: Dataset) -> None:
    if not data.label_names or not len(data):
        raise DataError(f"{data.name} has no labeled pictures", expected="pictures with class names")
    if len(data.label_names) < 2:
        raise DataError(
            f"{data.name} has one class, {data.label_names[0]!r}",
            expected="two or more",
            hint="a folder with a folder of pictures per class",
        )


def _gone_on_from(trained: Classifier, data: Dataset, common: tuple[int, int] | None, seed: int) -> Classifier:
    """Give a trained model the classes of a data set, and the whole of pictures smaller than its input."""
    names, module = data.label_names, trained.module
    if set(trained.labels) == set(names):
        order_head(module, [trained.labels.index(name) for name in names])
    elif trained.labels or trained.classes != len(names):
        replace_head(module, len(names), seed)
    resize = trained.resize if common is None else _uncropped(trained.resize, common)
    started = trained.replace(module=module, labels=names, resize=resize)
    started.sources = {**trained.sources, "labels": "given"}
    started.checkpoint = ""  # what is trained is no longer what the file holds
    return started


def _settled(classifier: Classifier) -> Classifier:
    """Let a run state from now on what nobody had stated: these numbers are what the network is trained with."""
    classifier.sources = {name: "run" if one == "assumed" else one for name, one in classifier.sources.items()}
    return classifier


def _some_images(classifier: Classifier, data: Dataset) -> Tensor:
    """Read pictures from all over the data, fewer of large ones, without those that are broken."""
    resize = _known(classifier.resize)
    height, width = resize.size
    count = max(1, min(_WHITENING_IMAGES, _WHITENING_VALUES // (classifier.channels * height * width)))
    seen = data.limited(count).with_channels(classifier.channels).resized(resize)
    images = next(seen.batches(count)).images
    if not len(images):
        raise DataError(f"none of {len(seen)} pictures of {data.name} can be read", expected="pictures to whiten by")
    return images


def _common_size(data: Dataset) -> tuple[int, int] | None:
    """Look at some pictures: the size (height, width) that they share, or None."""
    rows = torch.linspace(0, len(data) - 1, min(_LOOKED_AT, len(data))).long()
    sizes = {size for row in rows if (size := _size(data, int(row))) is not None}
    return sizes.pop() if len(sizes) == 1 else None


def _size(data: Dataset, row: int) -> tuple[int, int] | None:
    try:
        image = data.pictures.one(row)
    except FileError:  # named where all pictures are read, before training
        return None
    return image.shape[1], image.shape[2]


def _uncropped(rule: Resize | None, pictures: tuple[int, int]) -> Resize | None:
    """Cut nothing off pictures that have to be enlarged: they have no margin to lose, as a photograph has."""
    if rule is None or rule.squash or min(pictures) >= min(rule.size):
        return rule
    return replace(rule, shorter_side=None)


def _known(rule: Resize | None) -> Resize:
    if rule is None:
        raise ModelError("the model's input size is unknown", hint="--size 32")
    return rule
