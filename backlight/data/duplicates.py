"""Pictures that occur twice: exactly, or nearly, by a difference hash confirmed on a thumbnail."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from torch import Tensor
from torch.nn import functional

THUMBNAIL = 16
HASH_DISTANCE = 7
THUMBNAIL_DISTANCE = 10.0


class Print(NamedTuple):
    """What is remembered of a picture: a digest of its pixels, a 64-bit difference hash, a grey thumbnail.

    The hash has a bit for each of 8 x 8 places: whether the picture is brighter to the right of it (dHash).
    """

    digest: bytes
    hash: int
    thumbnail: np.ndarray


def take_print(image: Tensor) -> Print:
    """Take the print of a picture, uint8 [C,H,W].

    >>> import torch
    >>> take_print(torch.arange(90, dtype=torch.uint8).view(1, 9, 10)).hash == 2**64 - 1
    True
    """
    pixels = image.contiguous()
    digest = hashlib.blake2b(str(tuple(pixels.shape)).encode() + pixels.numpy().tobytes(), digest_size=16).digest()
    grey = pixels.float().mean(0, keepdim=True)
    rows = functional.adaptive_avg_pool2d(grey, (8, 9))[0]
    bits = (rows[:, 1:] > rows[:, :-1]).flatten().numpy()
    thumbnail = functional.adaptive_avg_pool2d(grey, (THUMBNAIL, THUMBNAIL)).flatten().round().numpy()
    return Print(digest, int.from_bytes(np.packbits(bits).tobytes(), "big"), thumbnail.astype(np.uint8))


def exact_groups(prints: list[Print]) -> list[list[int]]:
    """Group the places of pictures with equal pixels."""
    by_digest: dict[bytes, list[int]] = {}
    for place, one in enumerate(prints):
        by_digest.setdefault(one.digest, []).append(place)
    return [places for places in by_digest.values() if len(places) > 1]


def near_groups(prints: list[Print]) -> list[list[int]]:
    """Group the places of pictures that look the same: scaled, encoded again or slightly changed.

    Two pictures are near when their hashes differ in at most 7 of 64 bits and their thumbnails by at most 10 of
    255 levels on average; a group is connected by such pairs. Cropped, turned or mirrored copies are not found.
    """
    if len(prints) < 2:
        return []
    hashes = np.array([one.hash for one in prints], dtype=np.uint64)
    thumbnails = np.stack([one.thumbnail for one in prints]).astype(np.int16)
    parent = np.arange(len(prints))
    for first, second in _close(hashes):
        difference = np.abs(thumbnails[first] - thumbnails[second]).mean(1)
        near = difference <= THUMBNAIL_DISTANCE
        _unite(parent, zip(first[near].tolist(), second[near].tolist()))
    groups: dict[int, list[int]] = {}
    for place in range(len(prints)):
        groups.setdefault(_root(parent, place), []).append(place)
    return [places for places in groups.values() if len(places) > 1]


def _close(hashes: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield all pairs of hashes within the distance, some more than once.

    Hashes that differ in at most 7 bits agree in at least one of their 8 bytes (the pigeonhole principle), so
    only those that share a byte at the same place are compared.
    """
    bands = hashes.view(np.uint8).reshape(-1, 8)
    for band in range(HASH_DISTANCE + 1):
        order = np.argsort(bands[:, band], kind="stable")
        edges = np.flatnonzero(np.diff(bands[order, band])) + 1
        for members in np.split(order, edges):
            for block in np.array_split(members, len(members) // 1024 + 1):
                distance = np.bitwise_count(hashes[block][:, None] ^ hashes[members][None, :])
                left, right = np.nonzero(distance <= HASH_DISTANCE)
                forward = block[left] < members[right]
                yield block[left[forward]], members[right[forward]]


def _unite(parent: np.ndarray, pairs: Iterable[tuple[int, int]]) -> None:
    for first, second in pairs:
        parent[_root(parent, first)] = _root(parent, second)


def _root(parent: np.ndarray, place: int) -> int:
    while parent[place] != place:
        parent[place] = parent[parent[place]]
        place = int(parent[place])
    return place
