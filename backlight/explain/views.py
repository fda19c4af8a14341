"""A data set's pictures as a classifier sees them, each with its place on the whole picture and its mask."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from backlight.classifier import Classifier
from backlight.core.errors import Failure
from backlight.data.dataset import Dataset
from backlight.data.fitted import to_pil
from backlight.images import Picture, to_floats, to_levels
from backlight.images.resize import CropBox

OBJECT = "object"
_HALF = 128  # a mask that was resized counts where more than half of the pixel lies on the object


@dataclass(frozen=True, eq=False, repr=False)
class Views:
    """The pictures of some rows that could be read, their ids and labels int64 [A], and what failed.

    `masks` [A,H,W] bool say where the object is; None where the data do not know.
    """

    pictures: list[Picture]
    ids: list[str]
    labels: Tensor
    masks: Tensor | None
    failed: tuple[Failure, ...]

    @property
    def images(self) -> Tensor:
        """Return the pictures as one tensor [A,C,H,W] in [0,1]."""
        return torch.stack([picture.image for picture in self.pictures])


def read_views(classifier: Classifier, data: Dataset, rows: Tensor) -> Views:
    """Read the pictures at `rows` int64 [A]; those that cannot be read are named in `failed`.

    >>> from backlight.data import load_data
    >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 2))
    >>> seen = read_views(Classifier.from_module(net, size=8), load_data("shapes:n=4,size=16"), torch.tensor([0]))
    >>> seen.images.shape, seen.masks.shape, seen.pictures[0].full_size
    (torch.Size([1, 3, 8, 8]), torch.Size([1, 8, 8]), (16, 16))
    """
    good, stored, failed = data.readable(rows)
    ids = [data.ids[row] for row in good.tolist()]
    pictures = [_picture(classifier, name, image) for name, image in zip(ids, stored, strict=True)]
    masks = None
    if OBJECT in data.masks and len(good):
        masks = torch.stack([_cropped(classifier, data.masks[OBJECT].one(row)) for row in good.tolist()])
    return Views(pictures, ids, data.labels[good], masks, failed)


def _picture(classifier: Classifier, name: str, stored: Tensor) -> Picture:
    seen, box = _resized(classifier, stored)
    return Picture(Path(name), to_floats(seen), box, (stored.shape[1], stored.shape[2]))


def _cropped(classifier: Classifier, mask: Tensor) -> Tensor:
    seen, _ = _resized(classifier, mask * 255)
    return seen[0] >= _HALF


def _resized(classifier: Classifier, stored: Tensor) -> tuple[Tensor, CropBox]:
    height, width = stored.shape[1:]
    if classifier.resize is None or (height, width) == classifier.resize.size:
        return stored, CropBox(0, 0, width, height)
    picture, box = classifier.resize.resize(to_pil(stored))
    return to_levels(picture, len(stored)), box
