"""The DATA grammar: one string names any data set and the ranges of its parts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from backlight.core.errors import DataError, UsageError
from backlight.data.dataset import Dataset
from backlight.data.sources import read_source
from backlight.data.splits import NAMES, Splits, join, make_splits
from backlight.data.trained import SPLIT_SEED, TrainedOn
from backlight.images import Resize

RANGES = re.compile(r"@(?=(?:train|val|test)=)")


def load_data(
    spec: str | Path,
    *,
    split: str | None = None,
    resize: Resize | None = None,
    channels: int | None = None,
    limit: int | None = None,
    sample: int | None = None,
    seed: int = 0,
    split_seed: int = SPLIT_SEED,
    trained_on: TrainedOn | None = None,
    follow_links: bool = False,
) -> Dataset:
    """Load one part of a data set: "train", "val", "test" or "all"; by default the test part it has, else all of it.

    `spec` follows the DATA grammar: a folder of class folders, or of train/val/test folders of those; a list
    file; .npz; CIFAR batches; .parquet; WebDataset .tar; `hf:NAME`; `shapes:n=2000,size=32,...`; and ranges
    behind it, as in `cifar.npz@train=0:50000,test=50000:`. `resize` and `channels` (1 for grey, 3 for RGB) are
    those of a classifier; `limit` keeps that many pictures, spread evenly, and `sample` draws that many by class with
    `seed`. Data without parts of its own is split for the run that was `trained_on` it and for a `split` that is asked
    for by name; `reason` of what is returned says which part it is and why. `follow_links` reads what links in a folder
    lead to. Raises `DataError`, `FileError` or `UsageError`.

    >>> load_data("shapes:n=200,size=16,classes=4", split="train")
    Dataset(shapes:n=200,size=16,classes=4, train: 160 pictures, 4 classes)
    """
    if trained_on is not None:
        split_seed = trained_on.split_seed
    splits = load_splits(spec, resize=resize, channels=channels, split_seed=split_seed, follow_links=follow_links)
    return splits.pick(split, trained_on).sampled(sample, seed).limited(limit)


def load_splits(
    spec: str | Path,
    *,
    resize: Resize | None = None,
    channels: int | None = None,
    split_seed: int = SPLIT_SEED,
    follow_links: bool = False,
) -> Splits:
    """Load a data set with all its parts; see `load_data`.

    >>> load_splits("shapes:n=100,size=16,classes=4").pick("val").ids[:3]
    ('5', '33', '44')
    """
    text = str(spec)
    pieces = RANGES.split(text, maxsplit=1)
    found = read_source(pieces[0], follow_links=follow_links)
    if len(pieces) == 2:
        found = _ranges(found, pieces[1])
    named = {part: replace(data, name=text) for part, data in found.items()}
    if resize is not None:
        named = {part: data.resized(resize) for part, data in named.items()}
    if channels is not None:
        named = {part: data.with_channels(channels) for part, data in named.items()}
    return make_splits(named, split_seed)


def _ranges(found: Mapping[str, Dataset], text: str) -> dict[str, Dataset]:
    whole = found["all"] if "all" in found else join(list(found.values()))
    parts: dict[str, Dataset] = {}
    taken = torch.zeros(len(whole), dtype=torch.bool)
    for piece in text.split(","):
        match = re.fullmatch(r"\s*(train|val|test)=([0-9]{0,18}):([0-9]{0,18})\s*", piece)
        if match is None or match[1] in parts:
            raise UsageError(f"range {piece!r}", expected=f"{'|'.join(NAMES)}=START:STOP, each part once")
        start, stop = int(match[2] or 0), int(match[3] or len(whole))
        if not start < stop <= len(whole):
            raise DataError(f"range {piece!r} of {len(whole)} pictures", expected=f"inside 0:{len(whole)}")
        if taken[start:stop].any():
            raise DataError(f"range {piece!r} overlaps another part", expected="parts that share no picture")
        taken[start:stop] = True
        parts[match[1]] = whole.take(slice(start, stop))
    return parts
