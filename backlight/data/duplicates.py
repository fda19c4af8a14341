"""Pictures that occur twice: exactly, or nearly, by a difference hash confirmed on a thumbnail."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from torch import Tensor
from torch.nn import functional

THUMBNAIL = 16
HASH_DISTANCE = 7
THUMBNAIL_DISTANCE = 10.0
_LOOKED_AT = 2**22  # pixels of a picture, from which hash and thumbnail are taken
_BLOCK_PAIRS = 2**16  # compared at once: their thumbnails take 32 MiB twice


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
    digest = hashlib.blake2b(str(tuple(pixels.shape)).encode(), digest_size=16)
    digest.update(pixels.numpy().data)
    step = math.isqrt(pixels[0].numel() // _LOOKED_AT) + 1  # of a huge picture some pixels tell as much
    grey = pixels[:1, ::step, ::step].float()
    for channel in pixels[1:]:
        grey += channel[::step, ::step]
    grey /= len(pixels)
    rows = functional.adaptive_avg_pool2d(grey, (8, 9))[0]
    bits = (rows[:, 1:] > rows[:, :-1]).flatten().numpy()
    thumbnail = functional.adaptive_avg_pool2d(grey, (THUMBNAIL, THUMBNAIL)).flatten().round().numpy()
    return Print(digest.digest(), int.from_bytes(np.packbits(bits).tobytes(), "big"), thumbnail.astype(np.uint8))


def exact_groups(prints: list[Print]) -> list[list[int]]:
    """Group the places of pictures with equal pixels."""
    by_digest: dict[bytes, list[int]] = {}
    for place, one in enumerate(prints):
        by_digest.setdefault(one.digest, []).append(place)
    return [places for places in by_digest.values() if len(places) > 1]


def near_components(hashes: np.ndarray, thumbnails: np.ndarray, least: float = -1.0) -> np.ndarray:
    """Number the groups of pictures that look the same, scaled, encoded again or slightly changed: int64 `[N]`.

    `hashes` are uint64 `[N]`, `thumbnails` uint8 `[N,256]`, as `take_print` gives them. Two pictures are near when
    their hashes differ in at most 7 of 64 bits and their thumbnails by at most 10 of 255 levels on average; a group is
    connected by such pairs. Thumbnails that are not equal have to correlate by `least`: drawings on plain ground agree
    in most bits and levels by their ground alone.

    >>> near_components(np.array([0, 2**40 - 1, 1], np.uint64), np.zeros((3, 256), np.uint8)).tolist()
    [0, 1, 0]
    """
    # Blank pages would be compared each with each for nothing: of equal ones the first stands for all.
    both = np.concatenate([hashes[:, None].view(np.uint8), thumbnails], 1)
    _, places, inverse = np.unique(both, axis=0, return_index=True, return_inverse=True)
    levels = thumbnails[places].astype(np.int16)
    component = np.arange(len(places))
    for first, second in _close(hashes[places]):
        apart = component[first] != component[second]
        first, second = first[apart], second[apart]
        near = np.abs(levels[first] - levels[second]).mean(1) <= THUMBNAIL_DISTANCE
        if least > -1:
            near[near] = _correlation(levels[first[near]], levels[second[near]]) >= least
        if near.any():
            component = united(component, first[near], second[near])
    return _in_order(component[inverse.reshape(-1)])


def _correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Correlate rows, 0 where one of them is flat: float64 `[P]`."""
    one, other = (rows - rows.mean(1, keepdims=True) for rows in (first, second))
    lengths = np.sqrt((one * one).sum(1) * (other * other).sum(1))
    return np.divide((one * other).sum(1), lengths, out=np.zeros(len(one)), where=lengths > 0)


def groups_of(component: np.ndarray) -> list[list[int]]:
    """List the places of each component `[N]` that has more than one, in order.

    >>> groups_of(np.array([0, 1, 0, 2]))
    [[0, 2]]
    """
    order = np.argsort(component, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(component[order])) + 1)
    return sorted(group.tolist() for group in groups if len(group) > 1)


def _in_order(component: np.ndarray) -> np.ndarray:
    """Number components by their first members."""
    _, first, inverse = np.unique(component, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse.reshape(-1)]


def _close(hashes: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield all pairs of hashes within the distance, a bounded number at a time and each pair once.

    Hashes that differ in at most 7 bits agree in at least one of their 8 bytes (the pigeonhole principle), so
    only those that share a byte at the same place are compared.
    """
    bands = hashes.view(np.uint8).reshape(-1, 8)
    for band in range(HASH_DISTANCE + 1):
        order = np.argsort(bands[:, band], kind="stable")
        edges = np.flatnonzero(np.diff(bands[order, band])) + 1
        for members in np.split(order, edges):
            step = max(1, _BLOCK_PAIRS // len(members))
            for start in range(0, len(members), step):
                rest = members[start:]
                distance = np.bitwise_count(hashes[rest[:step], None] ^ hashes[None, rest])
                close = (distance <= HASH_DISTANCE) & ((distance > 0) | (band == 0))
                left, right = np.nonzero(np.triu(close, 1))
                first, second = rest[left], rest[right]
                new = (bands[first, :band] != bands[second, :band]).all(1)
                yield first[new], second[new]


def united(component: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Number the components `[N]` anew after these pairs of places have been connected.

    >>> united(np.arange(3), np.array([0]), np.array([2])).tolist()
    [0, 1, 0]
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    size = (len(component), len(component))
    edges = coo_matrix((np.ones(len(first), dtype=bool), (component[first], component[second])), shape=size)
    numbers: np.ndarray = connected_components(edges, directed=False)[1]
    return numbers[component]
