"""Data sets in Parquet files: encoded pictures in one column, labels in another."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from backlight.core.errors import DataError, FileError
from backlight.core.fingerprint import fingerprint
from backlight.core.remote import RemoteFile, Stored
from backlight.data.arrays import labels_by_name
from backlight.data.dataset import Dataset
from backlight.data.decoded import from_encoded
from backlight.data.row_groups import GroupedFile, GroupReader
from backlight.data.splits import NAMES, part_of
from backlight.table.stored import read_arrow, read_layout

if TYPE_CHECKING:
    import pyarrow as pa

LABELS = ("label", "labels", "y", "class", "target", "fine_label")


def read_parquet(paths: Sequence[Stored]) -> dict[str, Dataset]:
    """Read Parquet files with an image column (bytes, or the Hugging Face struct of bytes) and a label column.

    Parts come from a column `split`, or from file names such as `train-00000-of-00002.parquet`; ids from a column
    `id`, else they are row numbers; label names from the Hugging Face features in the file. The encoded pictures
    are held in memory, those of a store read a few rows at a time, and decoded when asked for. Raises `FileError` or
    `DataError`.
    """
    source, reader = str(paths[0]), GroupReader()
    shards = [_local(path) if isinstance(path, Path) else _remote(path, reader) for path in paths]
    if len({shard.column for shard in shards}) > 1:
        raise DataError(f"{source}: files with different columns", expected="one name for the pictures in all of them")
    names = next(filter(None, (_label_names(shard.table) for shard in shards)), None)
    by_part: dict[str, list[tuple[Shard, np.ndarray]]] = {}
    for shard, path in zip(shards, paths):
        for part, rows in _by_split(shard.table, path).items():
            by_part.setdefault(part, []).append((shard, rows))
    if "all" in by_part and len(by_part) > 1:
        raise DataError(f"{paths[0].parent}: files with and without a part's name", expected="all or none of them")
    columns = {part: _columns(found, source) for part, found in by_part.items()}
    labels = {part: _as_array(column[0], source) for part, column in columns.items()}
    label_names, numbers = labels_by_name(labels, names, source)
    made = {}
    for part, (_, ids) in columns.items():
        cells = Cells(by_part[part])
        keys = ids or [f"{part}/{row}" if part != "all" else str(row) for row in range(len(cells))]
        pictures = from_encoded(len(cells), cells.__getitem__, keys.__getitem__, version=cells.version)
        made[part] = Dataset(pictures, tuple(keys), numbers[part], label_names)
    return made


@dataclass(frozen=True, eq=False, repr=False)
class Shard:
    """One file: its columns but the pictures, the name of theirs, and the encoded picture of a row."""

    source: Stored
    table: pa.Table
    column: str
    read: Callable[[int], bytes]


def _local(path: Path) -> Shard:
    import pyarrow.compute as pc
    import pyarrow.types as types

    table = read_arrow(path)
    column = _image_column(table.schema, path)
    cells = table[column]
    cells = pc.struct_field(cells, "bytes") if types.is_struct(cells.type) else cells
    return Shard(path, table.drop_columns([column]), column, lambda row: bytes(cells[row].as_py() or b""))


def _remote(file: RemoteFile, reader: GroupReader) -> Shard:
    schema, rows = read_layout(file)
    column = _image_column(schema, file)
    table = read_arrow(file, {"id", "split", *LABELS})
    if len(table) != sum(rows):
        raise FileError(file, f"has {len(table)} labels for {sum(rows)} rows", expected="one for each")
    grouped = GroupedFile(file, column, rows)
    return Shard(file, table, column, lambda row: reader.read(grouped, row))


class Cells:
    """Return the encoded pictures of some rows of files, one at a time."""

    def __init__(self, rows: Sequence[tuple[Shard, np.ndarray]]) -> None:
        self._rows = rows
        self._ends = np.cumsum([len(here) for _, here in rows])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, row: int) -> bytes:
        shard, place = self._find(row)
        return shard.read(place)

    def version(self, row: int) -> str:
        """Tell a picture from another by what a store says of its file, if that is anything."""
        shard, place = self._find(row)
        known = isinstance(shard.source, RemoteFile) and shard.source.version
        return fingerprint((str(shard.source), known, place)) if known else ""

    def _find(self, row: int) -> tuple[Shard, int]:
        number = int(np.searchsorted(self._ends, row, "right"))
        shard, rows = self._rows[number]
        return shard, int(rows[row - (self._ends[number - 1] if number else 0)])


def _as_array(values: list[object], source: str) -> np.ndarray:
    try:
        return np.asarray(values)
    except (ValueError, OverflowError) as error:
        raise DataError(f"{source}: labels that differ in shape ({error})", expected="one label a picture") from None


def _by_split(table: pa.Table, path: Stored) -> dict[str, np.ndarray]:
    """Return the rows of each part."""
    if "split" in table.column_names:
        values = [str(value) for value in _values(table, "split", str(path))]
        unknown = sorted(value for value in set(values) if part_of(value) is None)
        if unknown:
            raise DataError(f"{path}: splits {unknown[:3]}", expected="train, val or test")
        marks = np.array([part_of(value) for value in values], dtype=object)
        return {part: np.flatnonzero(marks == part) for part in NAMES if (marks == part).any()}
    return {part_of(path.stem.split("-")[0]) or "all": np.arange(len(table))}


def _image_column(schema: pa.Schema, path: Stored) -> str:
    fields = {field.name: field.type for field in schema}
    images = [name for name, kind in fields.items() if _holds_bytes(kind)]
    if len(images) != 1 or not fields.keys() & set(LABELS):
        raise DataError(f"{path}: columns {list(fields)}", expected="one of pictures (bytes) and one of labels")
    return images[0]


def _columns(found: Sequence[tuple[Shard, np.ndarray]], source: str) -> tuple[list[object], list[str] | None]:
    """Return the labels and ids of some rows of files."""
    import pyarrow as pa

    try:
        table = pa.concat_tables([shard.table.take(rows) for shard, rows in found])
    except pa.ArrowException as error:
        raise DataError(f"{source}: files with different columns ({error})") from None
    label = next(name for name in LABELS if name in table.column_names)
    ids = [str(key) for key in _values(table, "id", source)] if "id" in table.column_names else None
    return _values(table, label, source), ids


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
