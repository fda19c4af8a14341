"""Pictures that are the same, exactly or nearly: encoded again, scaled, or cropped by a few percent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from backlight.audit.arrays import Array, as_array, rows_of
from backlight.audit.kept import Kept
from backlight.audit.neighbors import find_neighbors
from backlight.core.errors import InputError
from backlight.data.copies import copy_components
from backlight.data.cropped import CroppedPairs
from backlight.data.duplicates import groups_of

_CLOSE = 0.13  # of the median distance to the nearest neighbor: cleanlab's rule for near duplicates
_MOST_FEATURES = 2**27  # values of several data sets that are joined: 256 MiB
_TYPICAL = 1000  # pictures by which that median is estimated


@dataclass(frozen=True)
class DuplicateGroup:
    """Rows of pictures that are the same; `exact` says that their pixels are.

    >>> DuplicateGroup((0, 7), True).copies
    1
    """

    rows: tuple[int, ...]
    exact: bool

    @property
    def copies(self) -> int:
        """Count the pictures that say nothing new."""
        return len(self.rows) - 1


def find_near_duplicates(
    hashes: Array, thumbnails: Array, *, digests: Array | None = None, features: Array | None = None
) -> list[DuplicateGroup]:
    """Group pictures that are the same, exactly or nearly, in the order of their first rows.

    `hashes` uint64 `[N]` and `thumbnails` uint8 `[N,256]` are those of `backlight.data.duplicates.take_print`; equal
    `digests` uint64 `[N,2]` make a group exact. Two pictures are near where their hashes differ in at most 7 bits and
    their thumbnails by at most 10 levels, or where their thumbnails correlate by .97 after a crop of up to 4% a side.
    With `features` `[N,D]` a correlation of .9 is enough where these are closer than .13 of the median distance to the
    nearest neighbor. Where the pictures of a set look alike by their nature, as drawings on plain ground do, copies
    have to be far nearer than others are: 1 minus their correlation at most .02 of its usual value among neighbors.

    Source: duplicates across parts, Barz and Denzler 2020, arXiv:1902.00423; the rule on features is cleanlab's.
    Raises InputError for arrays of other shapes.

    >>> same = np.tile(np.arange(256, dtype=np.uint8), (2, 1))
    >>> find_near_duplicates(np.array([5, 5], np.uint64), same)
    [DuplicateGroup(rows=(0, 1), exact=False)]
    """
    hashes, thumbnails = as_array(hashes), as_array(thumbnails)
    if thumbnails.shape != (len(hashes), 256) or thumbnails.dtype != np.uint8:
        found = f"thumbnails {thumbnails.dtype} {list(thumbnails.shape)} for {len(hashes)} hashes"
        raise InputError(found, expected="uint8 [N,256]")
    if len(hashes) < 2:
        return []
    component = copy_components(hashes.astype(np.uint64), thumbnails, lambda pairs: _close(pairs, features))
    return [_group(rows, digests) for rows in groups_of(component)]


def duplicates_of(*parts: Kept) -> list[DuplicateGroup]:
    """Find duplicates within and across data sets; rows count on from one to the next.

    >>> kept = Kept.of(np.zeros((3, 2)))
    >>> duplicates_of(kept, kept.take(np.array([1])))
    [DuplicateGroup(rows=(1, 3), exact=True)]
    """
    hashes, thumbnails, digests = (
        np.concatenate([getattr(one, name) for one in parts]) for name in ("hashes", "thumbnails", "digests")
    )
    widths = {one.features.shape[1] for one in parts}
    small = sum(one.features.size for one in parts) <= _MOST_FEATURES
    if len(parts) == 1:
        features = parts[0].features
    else:
        features = np.concatenate([one.features for one in parts]) if len(widths) == 1 and small else np.zeros((0, 0))
    return find_near_duplicates(hashes, thumbnails, digests=digests, features=features if features.shape[1] else None)


def _close(pairs: CroppedPairs, features: Array | None) -> np.ndarray:
    """Whether the features of a pair are far nearer than those of neighbors are: bool `[P]`."""
    if features is None or not len(pairs.first):
        return np.zeros(len(pairs.first), bool)
    rows = np.unique(np.linspace(0, len(features) - 1, min(len(features), _TYPICAL)).astype(np.int64))
    typical = np.median(find_neighbors(rows_of(features, rows), features, 1, own=rows).distances)
    first, second = (torch.nn.functional.normalize(rows_of(features, one), dim=1) for one in pairs[:2])
    return ((first - second).square().sum(1) / 2 < _CLOSE * float(typical)).numpy()


def _group(rows: Sequence[int], digests: Array | None) -> DuplicateGroup:
    exact = digests is not None and len(np.unique(as_array(digests)[list(rows)], axis=0)) == 1
    return DuplicateGroup(tuple(rows), exact)
