"""Whether an assumed normalization is in doubt, looked at on the pictures that somebody measures anyway."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch

from backlight.classifier import Classifier
from backlight.core.errors import Failure
from backlight.data.dataset import Dataset
from backlight.evaluate.normalization import NormalizationCheck, check_normalization
from backlight.evaluate.samples import fitted
from backlight.images.intake import read_batches

PICTURES, FILES = 256, 32


def doubt_normalization(
    classifier: Classifier, data: Dataset, *, limit: int = PICTURES, batch_size: int = 32
) -> NormalizationCheck | None:
    """Check an assumed normalization on up to `limit` pictures of a data set; None where none was assumed.

    >>> from torch import nn
    >>> data = Dataset.of(torch.zeros(4, 3, 8, 8, dtype=torch.uint8), [0, 1, 1, 0], ["a", "b"])
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    >>> doubt_normalization(Classifier.from_module(net, mean=0.5, std=(0.5,) * 3, size=8), data) is None
    True
    """
    if not _asks(classifier) or classifier.resize is None:
        return None
    matched = fitted(classifier, data)
    batches = list(matched.limited(limit).batches(batch_size))
    images = torch.cat([batch.images for batch in batches])
    labels = torch.cat([matched.limited(limit).labels[batch.rows] for batch in batches])
    if not len(images):
        return None
    known = labels if data.labeled else None
    return check_normalization(classifier, images, known, batch_size=batch_size)


def doubt_normalization_on_files(
    classifier: Classifier, paths: Sequence[str | os.PathLike[str]], *, limit: int = FILES, batch_size: int = 32
) -> NormalizationCheck | None:
    """Check an assumed normalization on the first `limit` picture files; None where none was assumed or can be read.

    >>> from torch import nn
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    >>> doubt_normalization_on_files(Classifier.from_module(net, size=8), ["nowhere.png"]) is None
    True
    """
    if not _asks(classifier):
        return None
    unread: list[Failure] = []  # whoever measures the files names them
    batches = read_batches(classifier, paths[:limit], batch_size, unread)
    images = [picture.image for pictures in batches for picture in pictures]
    if not images:
        return None
    return check_normalization(classifier, torch.stack(images), batch_size=batch_size)


def _asks(classifier: Classifier) -> bool:
    return classifier.passport.assumed_normalization and not classifier.multilabel
