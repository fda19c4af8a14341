"""The DATA grammar: one string names any data set and the ranges of its parts."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from backlight.data.arrays import read_npz
from backlight.data.cifar import is_cifar, read_cifar
from backlight.data.dataset import Dataset
from backlight.data.folders import class_folders, read_folder, read_list, read_pictures
from backlight.data.pictures import Drawing
from backlight.data.shapes import Shapes
from backlight.data.splits import NAMES, Splits, join, make_splits
from backlight.data.trained import SPLIT_SEED, TrainedOn
from backlight.errors import DataError, FileError, UsageError
from backlight.grammar import parse_spec
from backlight.images import Resize

LISTS = (".txt", ".csv", ".tsv", ".lst")
RANGES = re.compile(r"@(?=(?:train|val|test)=)")
FORMS = "a folder, a list file, .npz, .parquet, .tar, CIFAR batches, hf:NAME or shapes:..."


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
    found = _read(pieces[0], follow_links)
    if len(pieces) == 2:
        found = _ranges(found, pieces[1])
    named = {part: replace(data, name=text) for part, data in found.items()}
    if resize is not None:
        named = {part: data.resized(resize) for part, data in named.items()}
    if channels is not None:
        named = {part: data.with_channels(channels) for part, data in named.items()}
    return make_splits(named, split_seed)


def _read(spec: str, follow_links: bool) -> dict[str, Dataset]:
    if spec == "shapes" or spec.startswith("shapes:"):
        return {"all": shapes_dataset(_parse_shapes(spec))}
    if spec.startswith("hf:"):
        from backlight.data.hub import read_hub

        return read_hub(spec.removeprefix("hf:"))
    path = _expanded(spec)
    if not os.path.exists(path):
        raise FileError(spec, "no such file or folder", expected=FORMS)
    return _read_directory(path, follow_links) if path.is_dir() else _read_file(path)


def _expanded(spec: str) -> Path:
    try:
        return Path(spec).expanduser()
    except RuntimeError as error:  # the home of somebody who does not exist
        raise FileError(spec, str(error), expected=FORMS) from None


def _read_directory(path: Path, follow_links: bool) -> dict[str, Dataset]:
    from backlight.data.parquet import read_parquet
    from backlight.data.webdataset import read_tars

    if is_cifar(path):
        return read_cifar(path)
    readers = {"*.parquet": read_parquet, "*.tar": read_tars}
    kinds = {pattern: files for pattern in readers if (files := sorted(path.glob(pattern)))}
    if not kinds:
        return read_folder(path, follow_links=follow_links)
    _require_one_reading(path, list(kinds.values()), follow_links)
    pattern, files = kinds.popitem()
    return readers[pattern](files)


def _require_one_reading(path: Path, kinds: list[list[Path]], follow_links: bool) -> None:
    folders = class_folders(path, follow_links=follow_links)
    readings = [f"{files[0].name}" for files in kinds] + [f"the class folder {one.name!r}" for one in folders[:1]]
    if len(readings) > 1:
        raise DataError(
            f"{path} can be read as several data sets: {' and '.join(readings)} lie side by side",
            expected="archives, or class folders",
            hint=f"DATA {kinds[0][0]}, or a folder of its own for each",
        )


def _read_file(path: Path) -> dict[str, Dataset]:
    from backlight.data.parquet import read_parquet
    from backlight.data.webdataset import read_tars

    suffix = path.suffix.lower()
    if suffix == ".npz":
        return read_npz(path)
    if suffix == ".parquet":
        return read_parquet([path])
    if suffix == ".tar":
        return read_tars([path])
    if suffix in LISTS:
        return read_list(path)
    if suffix in (".pkl", ".pickle", ".npy", ".zip", ".gz", ".tgz"):
        raise FileError(path, f"data of kind {suffix}", expected=FORMS)
    return read_pictures([path])


def _parse_shapes(text: str) -> Shapes:
    spec = parse_spec(text).only("n", "size", "classes", "shortcut", "seed")
    plain = Shapes()
    return Shapes(
        n=spec.integer("n", plain.n),
        size=spec.integer("size", plain.size),
        classes=spec.integer("classes", plain.classes),
        shortcut=spec.number("shortcut", plain.shortcut),
        seed=spec.integer("seed", plain.seed),
    )


def shapes_dataset(shapes: Shapes) -> Dataset:
    """Make drawn shapes a data set, drawn when asked for, with masks "object" and "patch".

    >>> shapes_dataset(Shapes(n=8)).mask("object", [0, 1]).shape
    torch.Size([2, 32, 32])
    """
    rows = torch.arange(shapes.n)
    return Dataset(
        Drawing(shapes),
        tuple(str(row) for row in range(shapes.n)),
        shapes.labels(rows),
        shapes.label_names,
        name="shapes",
        masks={"object": Drawing(shapes, "object"), "patch": Drawing(shapes, "patch")},
    )


def _ranges(found: Mapping[str, Dataset], text: str) -> dict[str, Dataset]:
    whole = found["all"] if "all" in found else join(list(found.values()))
    parts: dict[str, Dataset] = {}
    taken = torch.zeros(len(whole), dtype=torch.bool)
    for piece in text.split(","):
        match = re.fullmatch(r"\s*(train|val|test)=(\d*):(\d*)\s*", piece)
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
