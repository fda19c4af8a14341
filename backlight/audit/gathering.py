"""From the parts of a pass to arrays, one part in memory at a time; what is large lies in files that are mapped."""

from __future__ import annotations

import math
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from backlight.core.atomic import atomic
from backlight.core.errors import DataError
from backlight.sweep import Swept

IN_MEMORY = 2**28
"""An array of more bytes than this lies in a file beside the parts, where there is a folder."""


@dataclass(frozen=True, eq=False, repr=False)
class Gathered:
    """Ids and arrays by column, rows in the order of the data; empty where no picture could be read."""

    ids: list[str]
    columns: dict[str, np.ndarray]


def unfit(folder: Path | None, found: str) -> DataError:
    """Return the error for finished blocks that no pass has left.

    >>> str(unfit(Path("out"), "have no labels"))
    'the finished blocks in out have no labels; expected those of an audit; try: --force to look anew'
    """
    return DataError(
        f"the finished blocks in {folder} {found}", expected="those of an audit", hint="--force to look anew"
    )


@dataclass(frozen=True)
class _Column:
    """The form of one column."""

    shape: tuple[int, ...]
    kind: np.dtype

    @property
    def is_large(self) -> bool:
        return math.prod(self.shape) * self.kind.itemsize > IN_MEMORY


def gather(found: Swept, folder: Path | None = None, *, prefix: str = "pass") -> Gathered:
    """Join the columns of all parts; with a folder, large ones become files `PREFIX-COLUMN.npy` there.

    >>> import torch
    >>> from backlight.data.dataset import Dataset
    >>> from backlight.sweep import Part, Task, sweep
    >>> from backlight.table import Table
    >>> data = Dataset.of(torch.zeros(3, 3, 4, 4, dtype=torch.uint8))
    >>> work = lambda block, advance: Part(Table.of(id=block.ids, rows=np.ones((len(block), 2))))
    >>> gather(sweep(Task("ones", data, work, size=2))).columns["rows"].shape
    (3, 2)
    """
    ids, forms = _survey(found, folder)
    filed = [name for name, form in forms.items() if form.is_large] if folder is not None else []
    columns = {name: np.empty(form.shape, form.kind) for name, form in forms.items() if name not in filed}
    paths = {name: folder / f"{prefix}-{name}.npy" for name in filed} if folder is not None else {}
    with ExitStack() as files:
        for name, path in paths.items():
            opened = files.enter_context(atomic(path))
            columns[name] = np.lib.format.open_memmap(opened, "w+", forms[name].kind, forms[name].shape)
        _fill(found, columns)
        for name in paths:
            columns.pop(name).flush()  # type: ignore[attr-defined]
    return Gathered(ids, columns | {name: np.load(path, mmap_mode="r") for name, path in paths.items()})


def _survey(found: Swept, folder: Path | None) -> tuple[list[str], dict[str, _Column]]:
    ids: list[str] = []
    rows: dict[str, _Column] = {}
    for part in found.parts(tensors=False):
        ids += part.table.ids
        if len(part.table):
            columns = {name: part.table[name] for name in part.table.names[1:]}
            own = {name: _Column(one.shape[1:], one.dtype) for name, one in columns.items()}
            rows = rows or own
            if own != rows:
                raise unfit(folder, "have columns of several forms")
    return ids, {name: _Column((len(ids), *one.shape), one.kind) for name, one in rows.items()}


def _fill(found: Swept, columns: dict[str, np.ndarray]) -> None:
    start = 0
    for part in found.parts(tensors=False):
        end = start + len(part.table)
        for name, column in columns.items() if end > start else ():
            column[start:end] = part.table[name]
        start = end
