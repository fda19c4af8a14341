"""Some rows of a data set, and the images that they give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from backlight.core.errors import Failure

Rows = slice | Tensor | Sequence[int] | range


class Batch(NamedTuple):
    """Some images, float [A,C,H,W] in [0,1], with labels int64 [A], ids, and rows int64 [A] in the data set.

    `failed` names the pictures that were asked for and could not be read; they have no place in the rest.

    >>> from backlight.data import Dataset
    >>> data = Dataset.of(torch.zeros(4, 3, 8, 8, dtype=torch.uint8), labels=[0, 1, 1, 0], label_names=["a", "b"])
    >>> batch = data[[3, 1]]
    >>> batch.images.shape, batch.labels.tolist(), batch.ids
    (torch.Size([2, 3, 8, 8]), [0, 1], ['3', '1'])
    """

    images: Tensor
    labels: Tensor
    ids: list[str]
    rows: Tensor
    failed: tuple[Failure, ...] = ()


def row_numbers(rows: Rows, count: int) -> Tensor:
    """Return the row numbers, int64 [A], that a slice, a mask bool [N] or numbers mean in `count` rows.

    >>> row_numbers(slice(1, None), 3).tolist(), row_numbers(torch.tensor([True, False, True]), 3).tolist()
    ([1, 2], [0, 2])
    """
    if isinstance(rows, slice):
        return torch.arange(count)[rows]
    wanted = torch.as_tensor(rows)
    return wanted.nonzero()[:, 0] if wanted.dtype == torch.bool else wanted.long().reshape(-1)
