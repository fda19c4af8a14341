"""How much unrelated pictures of a set look alike: drawings on plain ground do so by their nature."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from backlight.data.cropped import FLATTEST, coarse_waves, correlate_crops, nearest_of

_SAMPLE = 1000
_RANK = 3  # of the nearest others: fewer copies of a picture than these do not hide how far others are
_COPY = 0.02  # of the typical distance: copies of plain drawings lie below, nearly all of other ones above
_MEAN, _CONTRAST = 4.0, 1.1  # levels, and a ratio: correlation knows neither, and copies keep both
_FINE = (0.0, 0.01, 0.02, 0.03, 0.04)
_PAIRS = 128


def typical_distance(thumbnails: np.ndarray) -> float:
    """Return the median distance (1 - correlation after the best crop) of thumbnails `[N,256]` to their third nearest.

    It is 1 where most pictures have none that is alike at all, as photographs have; drawings have small ones.

    >>> ramp = np.arange(256, dtype=np.uint8)
    >>> typical_distance(np.stack([ramp, ramp[::-1]]))
    1.0
    """
    values = _contrasted(thumbnails)
    if len(values) <= _RANK:
        return 1.0
    rows = torch.linspace(0, len(values) - 1, min(len(values), _SAMPLE)).long().unique()
    near = nearest_of(coarse_waves(values), rows)[:, :_RANK]
    pairs = rows[:, None].expand_as(near)[near >= 0], near[near >= 0]
    alike = torch.full(near.shape, 0.0)
    alike[near >= 0] = torch.cat(
        [correlate_crops(values[a], values[b]) for a, b in zip(pairs[0].split(2048), pairs[1].split(2048))]
        or [torch.zeros(0)]
    )
    return float(1 - alike.amin(1).median())


def least_likeness(thumbnails: np.ndarray) -> float:
    """Return the least correlation by which two pictures of this set are copies: near 1 where all look alike.

    >>> least_likeness(np.zeros((2, 256), np.uint8))
    0.98
    """
    return 1 - _COPY * typical_distance(thumbnails)


def correlate_finely(thumbnails: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Correlate pairs of thumbnails after the best crop of either, in steps of 1% a side up to 4%: `[P]`.

    >>> ramp = np.arange(256, dtype=np.uint8)[None]
    >>> bool(correlate_finely(ramp, np.array([0]), np.array([0]))[0] > 0.999)
    True
    """
    values = torch.from_numpy(np.ascontiguousarray(thumbnails)).float()
    parts = [
        correlate_crops(values[a], values[b], _FINE)
        for a, b in zip(torch.from_numpy(first).split(_PAIRS), torch.from_numpy(second).split(_PAIRS))
    ]
    return torch.cat(parts).numpy() if parts else np.zeros(0, np.float32)


def of_one_tone(thumbnails: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Whether pairs of thumbnails are about as bright and as rich in contrast: bool `[P]`.

    >>> ramp = np.arange(256, dtype=np.uint8)
    >>> of_one_tone(np.stack([ramp, ramp // 2]), np.array([0]), np.array([1])).tolist()
    [False]
    """
    one, other = (thumbnails[rows].astype(np.float32) for rows in (first, second))
    apart = np.abs(one.mean(1) - other.mean(1))
    low, high = np.sort([one.std(1), other.std(1)], axis=0)
    return (apart <= _MEAN) & (high <= _CONTRAST * low)


def _contrasted(thumbnails: np.ndarray) -> Tensor:
    values = torch.from_numpy(np.ascontiguousarray(thumbnails)).float()
    return values[values.std(1, correction=0) >= FLATTEST]
