"""Batches of one fixed size, so that no picture's answer depends on how many others were asked with it."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

_BATCH, _BATCH_VALUES = 64, 64 * 3 * 64 * 64
_WORTH_FILLING = 8
"""Of fewer at once a processor is hardly faster than with each alone, and a single one filled up costs as many."""


def fixed_batches(images: Tensor) -> Iterator[tuple[Tensor, int]]:
    """Cut images `[A,C,H,W]` into batches of one size, and say how many of each count: the last one is filled up.

    >>> [(len(batch), count) for batch, count in fixed_batches(torch.zeros(70, 3, 8, 8))]
    [(64, 64), (64, 6)]
    """
    size = _at_once(images)
    for part in images.split(size) if len(images) else ():
        yield torch.cat([part, part[-1:].expand(size - len(part), -1, -1, -1)]), len(part)


def _at_once(images: Tensor) -> int:
    """Return how many pictures are looked at together: their shape and the kind of device alone say so."""
    size = max(1, min(_BATCH, _BATCH_VALUES // max(1, images[:1].numel())))
    return 1 if images.device.type == "cpu" and size < _WORTH_FILLING else size
