"""A source of data: drawn stripes, written `stripes:n=200,size=32`."""

from __future__ import annotations

import torch

from backlight.core.random import Random
from backlight.data import Dataset


def stripes(*, n: int = 200, size: int = 32, seed: int = 0) -> Dataset:
    """Draw `n` pictures of upright or lying stripes, each of a width and a color of its own."""
    names = [str(row) for row in range(n)]
    random = Random((seed, "stripes"), names)
    labels, width = random.integer(2, stream="label"), 1 + random.integer(4, stream="width")
    upright = (torch.arange(size)[None, :] // width[:, None] % 2).double()[:, None, None, :].expand(n, 1, size, size)
    drawn = torch.where(labels[:, None, None, None] == 0, upright, upright.transpose(2, 3))
    color = random.uniform(3, stream="color", dtype=torch.float64)[:, :, None, None]
    return Dataset.of((255 * drawn * color).round().to(torch.uint8), labels, ["upright", "lying"], names)
