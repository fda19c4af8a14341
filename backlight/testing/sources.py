"""Prove a source of data."""

from __future__ import annotations

import torch

from backlight.data import Dataset, load_splits
from backlight.testing.setting import global_seed, require, require_same

_LOOKED_AT = 8


def check_source(spec: str) -> None:
    """Prove what a specification of data reads: ids, labels, pictures, the same twice, in any order and alone.

    Raises AssertionError that says what does not hold, and what `load_data` raises.

    >>> check_source("shapes:n=12,size=16")
    """
    parts = {}
    for seed in (0, 1):
        with global_seed(seed):
            splits = load_splits(spec)
            parts[seed] = {"all": splits.pick("all")}
    for name, data in parts[0].items():
        _check_part(data, f"{spec}, {name}")
        again = parts[1][name]
        require(data.ids == again.ids, spec, "other ids when read again")
        require_same(data.labels, again.labels, spec, "other labels when read again")
        rows = torch.arange(min(_LOOKED_AT, len(data)))
        require_same(data[rows].images, again[rows].images, spec, "other pictures when read again")


def _check_part(data: Dataset, name: str) -> None:
    require(len(data) > 0, name, "no pictures")
    require(all(isinstance(one, str) and one for one in data.ids), name, "ids that are not text")
    require(len(set(data.ids)) == len(data.ids), name, "ids that occur twice")
    require(len(set(data.label_names)) == len(data.label_names), name, "names of classes that occur twice")
    low, high = int(data.labels.min()), int(data.labels.max())
    require(low >= -1 and high < max(len(data.label_names), 1), name, f"labels from {low} to {high} of no class")
    rows = torch.arange(min(_LOOKED_AT, len(data)))
    whole = data[rows].images
    require(whole.ndim == 4 and whole.shape[1] in (1, 3), name, f"pictures of shape {list(whole.shape)}")
    require(bool(whole.isfinite().all()), name, "pictures that are not finite")
    require(0 <= float(whole.min()) <= float(whole.max()) <= 1, name, "pictures outside of [0,1]")
    require_same(whole.flip(0), data[rows.flip(0)].images, name, "other pictures in another order")
    for row in rows.tolist():
        require_same(whole[row : row + 1], data[[row]].images, name, "another picture alone")
