"""Data sets in Parquet files: encoded pictures in one column, labels in another."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from backlight.core.errors import DataError
from backlight.data.arrays import labels_by_name
from backlight.data.dataset import Dataset
from backlight.data.decoded import from_encoded
from backlight.data.splits import NAMES, part_of
from backlight.table.stored import read_arrow

if TYPE_CHECKING:
    import pyarrow as pa

LABELS = ("label", "labels", "y", "class", "target", "fine_label")


def read_parquet(paths: Sequence[Path]) -> dict[str, Dataset]:
    """Read Parquet files with an image column (bytes, or the Hugging Face struct of bytes) and a label column.

    Parts come from a column `split`, or from file names such as `train-00000-of-00002.parquet`; ids from a column
    `id`, else they are row numbers; label names from the Hugging Face features in the file. The encoded pictures
    are held in memory, decoded when asked for. Raises `FileError` or `DataError`.
    """
    by_part: dict[str, list[pa.Table]] = {}
    names: list[str] | None = None
    for path in paths:
        table = read_arrow(path)
        names = names or _label_names(table)
        for part, rows in _by_split(table, path).items():
            by_part.setdefault(part, []).append(rows)
    if "all" in by_part and len(by_part) > 1:
        raise DataError(f"{paths[0].parent}: files with and without a part's name", expected="all or none of them")
    columns = {part: _columns(tables, str(paths[0])) for part, tables in by_part.items()}
    labels = {part: _as_array(column[1], str(paths[0])) for part, column in columns.items()}
    label_names, numbers = labels_by_name(labels, names, str(paths[0]))
    made = {}
    for part, (images, _, ids) in columns.items():
        keys = ids or [f"{part}/{row}" if part != "all" else str(row) for row in range(len(images))]
        made[part] = Dataset(
            from_encoded(len(images), images.__getitem__, keys.__getitem__), tuple(keys), numbers[part], label_names
        )
    return made


def _as_array(values: list[object], source: str) -> np.ndarray:
    try:
        return np.asarray(values)
    except (ValueError, OverflowError) as error:
        raise DataError(f"{source}: labels that differ in shape ({error})", expected="one label a picture") from None


class Bytes:
    """Return the encoded pictures of an Arrow column of bytes, one at a time."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        self._column = column

    def __len__(self) -> int:
        return len(self._column)

    def __getitem__(self, row: int) -> bytes:
        return bytes(self._column[row].as_py() or b"")


def _by_split(table: pa.Table, path: Path) -> dict[str, pa.Table]:
    if "split" in table.column_names:
        values = [str(value) for value in _values(table, "split", str(path))]
        unknown = sorted(value for value in set(values) if part_of(value) is None)
        if unknown:
            raise DataError(f"{path}: splits {unknown[:3]}", expected="train, val or test")
        marks = np.array([part_of(value) for value in values], dtype=object)
        return {part: table.take(np.flatnonzero(marks == part)) for part in NAMES if (marks == part).any()}
    return {part_of(path.stem.split("-")[0]) or "all": table}


def _columns(tables: list[pa.Table], source: str) -> tuple[Bytes, list[object], list[str] | None]:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as types

    try:
        table = pa.concat_tables(tables)
    except pa.ArrowException as error:
        raise DataError(f"{source}: files with different columns ({error})") from None
    fields = {field.name: field.type for field in table.schema}
    images = [name for name, kind in fields.items() if _holds_bytes(kind)]
    labels = [name for name in LABELS if name in fields]
    if len(images) != 1 or not labels:
        raise DataError(f"{source}: columns {list(fields)}", expected="one of pictures (bytes) and one of labels")
    column = table[images[0]]
    column = pc.struct_field(column, "bytes") if types.is_struct(column.type) else column
    ids = [str(key) for key in _values(table, "id", source)] if "id" in fields else None
    return Bytes(column), _values(table, labels[0], source), ids


def _values(table: pa.Table, name: str, source: str) -> list[object]:
    """Return a column as plain values; raises `DataError` for text that is no UTF-8."""
    import pyarrow as pa

    try:
        return list(table[name].to_pylist())
    except (pa.ArrowException, ValueError, OverflowError) as error:
        raise DataError(f"{source}: the column {name!r} cannot be read ({error})", expected="numbers or text") from None


def _holds_bytes(kind: pa.DataType) -> bool:
    import pyarrow.types as types

    if types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0
    return types.is_binary(kind) or types.is_large_binary(kind)


def _label_names(table: pa.Table) -> list[str] | None:
    try:
        features = json.loads((table.schema.metadata or {})[b"huggingface"])["info"]["features"]
        found = [features[name]["names"] for name in LABELS if "names" in features.get(name, {})]
    # Metadata belongs to whoever wrote the file; without usable names the labels name themselves.
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        return None
    return [str(name) for name in found[0]] if found and isinstance(found[0], list) else None
