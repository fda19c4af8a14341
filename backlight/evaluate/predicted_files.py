"""The most likely classes of many picture files as a table, worked on in blocks that several processes share."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch

from backlight import __version__
from backlight.classifier import Classifier
from backlight.classifier.predictions import Prediction
from backlight.core.chunks import Chunk
from backlight.core.errors import Failure
from backlight.core.escaping import as_text
from backlight.core.processes import Engine
from backlight.core.progress import Progress
from backlight.data.dataset import Dataset
from backlight.data.decoded import from_paths
from backlight.evaluate.predicting import class_folders, classify_files, folder_name
from backlight.evaluate.samples import Samples
from backlight.images.cover import Square
from backlight.sweep import Advance, Part, Task, block_size, sweep
from backlight.sweep.cost import cost_of, shape_of
from backlight.table import Table


def predict_files(
    classifier: Classifier,
    paths: Sequence[str | os.PathLike[str]],
    *,
    top: int = 5,
    batch_size: int = 32,
    cover: Square | None = None,
    folder: Path | None = None,
    engine: Engine | None = None,
    progress: Progress | None = None,
) -> Samples:
    """Tabulate what `predict` says of picture files: one row per file with a prediction, in the order given.

    The columns are `id` (the path), `label` (an index, where all files lie in folders named as classes are),
    `prediction`, `confidence` (its probability), and with `top` entries a row, best first, `top.prediction`,
    `top.probability` and `top.logit`. A file that is named twice has one row. Finished blocks are kept in `folder` and
    read back; several processes share the work, and all get the whole table.

    Raises InputError for a `top` or `batch_size` below 1.

    >>> import tempfile
    >>> from torch import nn
    >>> from backlight.images import write_png
    >>> path = Path(tempfile.mkdtemp()) / "gray.png"
    >>> write_png(path, torch.full((3, 2, 2), 0.5))
    >>> classifier = Classifier.from_module(nn.Flatten(), size=2)
    >>> predict_files(classifier, [path], top=3).table["top.prediction"].tolist()
    [[0, 1, 2]]
    """
    Chunk(batch_size)  # a wrong size is told before any work
    named = {as_text(path): path for path in map(Path, paths)}
    data = Dataset(from_paths(list(named.values())), tuple(named), torch.full((len(named),), -1), name="files")

    def work(block: Dataset, advance: Advance) -> Part:
        rows, failed = list[tuple[Path, tuple[Prediction, ...]]](), list[Failure]()
        chunk = Chunk(batch_size)
        for start in range(0, len(block), batch_size):
            batch = [named[name] for name in block.ids[start : start + batch_size]]
            rows += classify_files(classifier, batch, failed, top=top, chunk=chunk, cover=cover)
            advance(len(batch))
        return Part(_table(rows), failed=tuple(failed))

    cost = cost_of(classifier, shape_of(classifier, data), 1)
    # Whole batches: the same files meet in a batch as without blocks, so the numbers are the same to the last bit.
    size = -(-block_size(cost) // batch_size) * batch_size
    depends = ("predict", classifier, classifier.resize, top, batch_size, cover, __version__)
    task = Task("predict files", data, work, depends, lambda: cost, size)
    found = sweep(task, folder=folder, engine=engine or Engine(classifier.device), progress=progress)
    tables = [part.table for part in found.parts(tensors=False) if len(part.table)]
    table = Table.merge(tables) if tables else _table(())
    labels = {label: index for index, label in enumerate(classifier.labels)}
    folders = {name: labels[label] for name, label in class_folders(classifier, list(named.values())).items()}
    return Samples(_labeled(table, folders, named), found.failed)


def _table(rows: Iterable[tuple[Path, tuple[Prediction, ...]]]) -> Table:
    seen = list(rows)
    best = [classes[0] for _, classes in seen]
    return Table.of(
        {
            "id": [as_text(path) for path, _ in seen],
            "prediction": np.array([one.index for one in best], np.int64),
            "confidence": np.array([one.probability for one in best], np.float64),
            "top.prediction": [[one.index for one in classes] for _, classes in seen],
            "top.probability": [[one.probability for one in classes] for _, classes in seen],
            "top.logit": [[one.logit for one in classes] for _, classes in seen],
        }
    )


def _labeled(table: Table, classes: dict[str, int], named: dict[str, Path]) -> Table:
    """Add the class whose folder each file lies in, where that is known of all."""
    if not classes:
        return table
    labels = [classes[folder_name(named[name])] for name in table.ids]
    return Table.of({"id": table.ids, "label": labels} | {name: table[name] for name in table.names[1:]})
