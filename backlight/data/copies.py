"""Which pictures of a set are copies of each other: scaled, encoded again, slightly changed, or cropped a little."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from backlight.data.cropped import SURE, CroppedPairs, find_cropped
from backlight.data.duplicates import Print, groups_of, near_components, united
from backlight.data.likeness import correlate_finely, least_likeness, of_one_tone

_PHOTOGRAPHS = 0.985  # the least likeness of copies in sets of which few pictures look alike; above it, most do


def near_groups(prints: Sequence[Print]) -> list[list[int]]:
    """Group the places of pictures that are copies of each other, by what `take_print` keeps of them.

    >>> import torch
    >>> from backlight.data.duplicates import take_print
    >>> picture = torch.arange(3 * 20 * 20).view(3, 20, 20).remainder(200).to(torch.uint8)
    >>> near_groups([take_print(one) for one in (picture, 255 - picture, picture + 1)])
    [[0, 2]]
    """
    if len(prints) < 2:
        return []
    hashes = np.array([one.hash for one in prints], dtype=np.uint64)
    return groups_of(copy_components(hashes, np.stack([one.thumbnail for one in prints])))


def copy_components(
    hashes: np.ndarray, thumbnails: np.ndarray, likely: Callable[[CroppedPairs], np.ndarray] | None = None
) -> np.ndarray:
    """Number the groups of pictures that are copies of each other: int64 `[N]`.

    `hashes` are uint64 `[N]`, `thumbnails` uint8 `[N,256]`. Two pictures are copies where hashes and thumbnails are
    near (`near_components`), or where their thumbnails correlate by `SURE` after a crop of up to 4% a side; `likely`
    says, bool `[P]`, which pairs of less correlation are copies by what else is known of them. Where the pictures of a
    set look alike by their nature, copies have to be far nearer than others are (`backlight.data.likeness`). Turned or
    mirrored copies are not found.

    >>> copy_components(np.array([5, 5], np.uint64), np.tile(np.arange(256, dtype=np.uint8), (2, 1))).tolist()
    [0, 0]
    """
    least = least_likeness(thumbnails)
    plain = least > _PHOTOGRAPHS
    component = near_components(hashes, thumbnails, least if plain else -1)
    cropped = find_cropped(thumbnails)
    sure = cropped.alike >= SURE
    if likely is not None:
        sure = sure | likely(cropped)
    if plain:
        sure[sure] = _nearer_than_others(thumbnails, cropped.first[sure], cropped.second[sure], least)
    return united(component, cropped.first[sure], cropped.second[sure]) if sure.any() else component


def _nearer_than_others(thumbnails: np.ndarray, first: np.ndarray, second: np.ndarray, least: float) -> np.ndarray:
    """Whether pairs are nearer than pictures of a plain set are by their nature, and of one tone: bool `[P]`."""
    found = of_one_tone(thumbnails, first, second)
    found[found] = correlate_finely(thumbnails, first[found], second[found]) >= least
    return found
