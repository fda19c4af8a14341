"""The one pass of an audit over a data set: what the model makes of each picture, and what the picture is like."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from backlight import __version__
from backlight.audit.examined import Part
from backlight.audit.gathering import Gathered, gather, unfit
from backlight.audit.kept import HEALTH, PROPERTIES, Kept, LinearHead
from backlight.classifier import Classifier
from backlight.classifier.last_layer import LastLayer, find_last_layer
from backlight.core.errors import DataError, Failure, FileError
from backlight.core.fingerprint import fingerprint
from backlight.core.processes import Engine
from backlight.core.progress import Progress
from backlight.data.dataset import Dataset
from backlight.data.decoded import THREADS
from backlight.data.duplicates import take_print
from backlight.data.fitted import fit, fit_picture, whole
from backlight.data.pictures import stack
from backlight.evaluate.samples import check_one_class, match_labels
from backlight.images import to_floats, to_levels
from backlight.images.properties import picture_properties
from backlight.sweep import Advance, Task, sweep
from backlight.sweep import Part as Block
from backlight.sweep.cost import Cost, cost_of, shape_of
from backlight.table import Table

_TRIED = 16  # pictures that are tried, until one can be read, to find the last layer
_HALF = float(np.finfo(np.float16).max)


def look_once(
    classifier: Classifier,
    data: Dataset,
    *,
    batch_size: int = 32,
    folder: Path | None = None,
    engine: Engine | None = None,
    progress: Progress | None = None,
) -> Part:
    """Look at every picture once and keep what findings are made of; labels are matched by name.

    Finished blocks are kept in `folder` and read back, by this or a later audit of the same model and pictures; large
    features lie there and are memory-mapped. Several processes share the work, and all get the whole.

    Raises ModelError for a multi-label model, DataError for labels that the classifier does not know and where no
    picture can be read.

    >>> from torch import nn
    >>> data = Dataset.of(torch.zeros(4, 3, 8, 8, dtype=torch.uint8), [0, 1, 1, 0], ["a", "b"])
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    >>> part = look_once(Classifier.from_module(net, size=8, labels=["a", "b"]), data)
    >>> part.kept
    Kept(data: 4 pictures, 2 classes, 192 features)
    """
    check_one_class(classifier, data)
    matched = match_labels(classifier, data)
    looker = _Looker(classifier, _find_layer(classifier, matched), batch_size)

    def cost() -> Cost:
        shape = shape_of(classifier, looker.fitted(matched))
        return cost_of(classifier, shape, 1, classifier.classes + looker.width)

    name = f"audit {data.name}"
    task = Task(name, matched, looker.work, ("audit", looker.depends, __version__), cost)
    found = sweep(task, folder=folder, engine=engine or Engine(classifier.device), progress=progress)
    arrays = gather(found, folder, prefix=fingerprint(task.key, matched.ids)[:16])
    _check_columns(arrays, classifier.classes, folder)
    return _part(looker, matched, arrays, found.failed)


def _find_layer(classifier: Classifier, data: Dataset) -> LastLayer | None:
    """Find where the features are, by a picture of the data: one of constant pixels may hide what a layer does."""
    for row in range(min(len(data), _TRIED)):
        try:
            image = fit(to_levels(whole(data.pictures, row)), classifier.resize, classifier.channels)
        except FileError:
            continue
        return find_last_layer(classifier, to_floats(image[None]).to(classifier.device))
    return None


@dataclass(frozen=True, eq=False, repr=False)
class _Looker:
    """What is done to every block."""

    classifier: Classifier
    layer: LastLayer | None
    batch_size: int

    @property
    def depends(self) -> tuple[object, ...]:
        layer = None if self.layer is None else (self.layer.name, self.layer.after)
        return self.classifier, self.classifier.resize, self.classifier.channels, layer, self.batch_size

    @property
    def width(self) -> int:
        weight = None if self.layer is None else self.layer.weight
        return 0 if weight is None else weight.shape[1]

    def fitted(self, data: Dataset) -> Dataset:
        sized = data if self.classifier.resize is None else data.resized(self.classifier.resize)
        return sized.with_channels(self.classifier.channels)

    def work(self, block: Dataset, advance: Advance) -> Block:
        tables, failed = list[Table](), list[Failure]()
        for rows in torch.arange(len(block)).split(self.batch_size):
            seen = list(self._read(block, rows.tolist(), failed))
            if seen:
                tables.append(self._table(block, seen))
            advance(len(rows))
        return Block(Table.merge(tables) if tables else Table.of(id=[]), failed=tuple(failed))

    def _read(self, block: Dataset, rows: list[int], failed: list[Failure]) -> Iterator[_Seen]:
        with ThreadPoolExecutor(THREADS) as pool:
            for row, found in zip(rows, pool.map(lambda row: self._one(block, row), rows)):
                if isinstance(found, FileError):
                    failed.append(Failure.of(block.ids[row], found))
                else:
                    yield found

    def _one(self, block: Dataset, row: int) -> _Seen | FileError:
        try:
            picture = whole(block.pictures, row)
        except FileError as error:
            return error
        levels = to_levels(picture, 1 if picture.mode == "L" else 3)
        taken = take_print(levels)
        numbers = {
            "digests": np.frombuffer(taken.digest, dtype=np.uint64),
            "hashes": np.uint64(taken.hash),
            "thumbnails": taken.thumbnail,
            **picture_properties(picture),
        }
        return _Seen(row, fit_picture(picture, levels, self.classifier.resize, self.classifier.channels), numbers)

    def _table(self, block: Dataset, seen: list[_Seen]) -> Table:
        images = to_floats(stack([one.image for one in seen])).to(self.classifier.device)
        with torch.no_grad():
            if self.layer is None:
                logits, features = self.classifier.logits(images), torch.zeros(len(images), 0)
            else:
                logits, features = self.layer.read(self.classifier, images)
        rows = [one.row for one in seen]
        columns: dict[str, Any] = {
            "id": [block.ids[row] for row in rows],
            "label": block.labels[rows],
            "logits": logits.float().cpu().numpy(),
            "features": features.float().clamp(-_HALF, _HALF).half().cpu().numpy(),
        }
        for name in ("digests", "hashes", "thumbnails"):
            columns[name] = np.stack([one.numbers[name] for one in seen])
        for name in (*PROPERTIES, *HEALTH):
            columns[name] = np.array([one.numbers[name] for one in seen], dtype=np.float32)
        return Table.of(columns)


@dataclass(frozen=True, eq=False, repr=False)
class _Seen:
    """One picture: its row in the block, its pixels as the model takes them, and its numbers."""

    row: int
    image: Tensor
    numbers: dict[str, Any]


_FORMS: dict[str, tuple[str, int]] = {
    **{"label": ("i", 0), "logits": ("f", 1), "features": ("f", 1), "digests": ("u", 1), "hashes": ("u", 0)},
    **{"thumbnails": ("u", 1), **dict.fromkeys((*PROPERTIES, *HEALTH), ("f", 0))},
}
"""The kind of number of every column, and how many axes it has besides the pictures."""


def _check_columns(arrays: Gathered, classes: int, folder: Path | None) -> None:
    """Raise DataError for blocks that were read back and that no pass has left."""
    if not arrays.ids:
        return
    columns = arrays.columns
    for name, (kind, axes) in _FORMS.items():
        if name not in columns or (columns[name].dtype.kind, columns[name].ndim - 1) != (kind, axes):
            raise unfit(folder, f"have no usable column {name!r}")
    if columns["logits"].shape[1] != classes or columns["digests"].shape[1] != 2:
        raise unfit(folder, f"are not of {classes} classes")
    if columns["label"].min() < -1 or columns["label"].max() >= classes:
        raise unfit(folder, "have labels of no class")


def _part(looker: _Looker, data: Dataset, arrays: Gathered, failed: tuple[Failure, ...]) -> Part:
    if not arrays.ids:
        raise DataError(f"{data.name} has no picture that can be read", expected="at least one")
    classifier, layer = looker.classifier, looker.layer
    names = classifier.labels or data.label_names or tuple(map(str, range(classifier.classes)))
    head = None
    if layer is not None and layer.weight is not None and layer.bias is not None:
        head = LinearHead(layer.weight.numpy(), layer.bias.numpy())
    columns = arrays.columns
    kept = Kept(
        tuple(arrays.ids),
        columns["label"],
        names,
        columns["logits"],
        columns["features"],
        columns["digests"],
        columns["hashes"],
        columns["thumbnails"],
        {name: columns[name] for name in (*PROPERTIES, *HEALTH)},
        head,
        (*data.failed, *failed),
        data.name,
    )
    places = {one: row for row, one in enumerate(data.ids)}
    rows = torch.tensor([places[one] for one in kept.ids], dtype=torch.int64)
    readable = data if len(rows) == len(data) else data.take(rows)
    return Part(kept, replace(looker.fitted(readable), failed=kept.failed), readable)
