"""The classifier that training starts from: a new network made for the data, or a trained one with a new head."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from backlight.classifier import Classifier
from backlight.core.errors import DataError, FileError, ModelError
from backlight.data.dataset import Dataset
from backlight.images import Resize
from backlight.models.blueprint import Blueprint, ModelShape
from backlight.models.loader import as_classifier
from backlight.models.registry import find_blueprint
from backlight.models.stated import scaled
from backlight.train.layers import replace_head

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
    seed: int = 0,
    size: tuple[int, int] | None = None,
    device: torch.device | str = "cpu",
) -> Classifier:
    """Build the model that `spec` names for the classes of a data set.

    A new network takes pictures of the data's own size where they have one, else of its own; its weights depend
    on `seed` alone. A `pretrained` one keeps its published weights and input size but for the last linear layer; of
    pictures smaller than that nothing is cut off. `size` (height, width) replaces either. A network that
    whitens its input, as `speed_cnn` does, gets its filters from the data.

    Raises UsageError for unknown specifications, DataError for data of fewer than two classes, ModelError where
    published weights cannot be had.

    >>> from backlight.data.load import load_data
    >>> data = load_data("shapes:n=20,size=16,classes=3")
    >>> start_classifier("classic_cnn", data)
    Classifier(classic_cnn, 3 channels, 16x16, 3 labels)
    """
    if not data.label_names or not len(data):
        raise DataError(f"{data.name} has no labeled pictures", expected="pictures with class names")
    if len(data.label_names) < 2:
        raise DataError(
            f"{data.name} has one class, {data.label_names[0]!r}",
            expected="two or more",
            hint="a folder with a folder of pictures per class",
        )
    blueprint = find_blueprint(spec, seed)
    common = _common_size(data)
    sides = size or (None if pretrained else common)
    if sides is not None:
        blueprint = replace(blueprint, resize=scaled(blueprint.resize, sides))
    if pretrained and common is not None:
        blueprint = replace(blueprint, resize=_uncropped(blueprint.resize, common))
    channels = len(blueprint.mean)
    if pretrained:
        module = _pretrained(blueprint, ModelShape(None, sides, channels), len(data.label_names), seed)
    else:
        module = blueprint.build(ModelShape(len(data.label_names), sides, channels))
    classifier = as_classifier(blueprint, module.to(device), data.label_names)
    # What nobody had stated the run states from now on: these numbers are what the network is trained with.
    classifier.sources = {name: "run" if one == "assumed" else one for name, one in classifier.sources.items()}
    if isinstance(module, WhitensItsInput):
        module.whiten(classifier.normalize(_some_images(classifier, data).to(device)))
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


def _pretrained(blueprint: Blueprint, shape: ModelShape, classes: int, seed: int) -> nn.Module:
    if blueprint.pretrained is None:
        raise ModelError(blueprint.no_pretrained, hint="leave out --pretrained")
    module = blueprint.pretrained(shape)
    replace_head(module, classes, seed)
    return module


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
