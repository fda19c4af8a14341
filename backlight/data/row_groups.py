"""Encoded pictures in Parquet files of object stores: a few rows in memory at a time, in the order of the file."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from backlight.core.errors import FileError
from backlight.core.reading import unpack_limit
from backlight.core.remote import RemoteFile
from backlight.table.stored import group_batches, unpacked

if TYPE_CHECKING:
    import pyarrow as pa

KEPT = 4
"""How many batches are kept: about 64 MiB, unless single pictures are larger."""


@dataclass(frozen=True)
class GroupedFile:
    """A Parquet file, the column of its pictures, and how many rows each of its groups has.

    >>> GroupedFile(RemoteFile("s3://bucket/a.parquet", 900), "image", (100, 50)).group(120)
    (1, 100)
    """

    file: RemoteFile
    column: str
    rows: tuple[int, ...]

    def group(self, row: int) -> tuple[int, int]:
        """Return the group that holds a row, and the row with which that group begins."""
        for group, end in enumerate(accumulate(self.rows)):
            if row < end:
                return group, end - self.rows[group]
        raise IndexError(row)


@dataclass(frozen=True, eq=False, repr=False)
class _Batch:
    """Some consecutive rows of a file, from `start`."""

    file: GroupedFile
    start: int
    values: pa.Array

    def holds(self, file: GroupedFile, row: int) -> bool:
        return file is self.file and self.start <= row < self.start + len(self.values)


class GroupReader:
    """Return encoded pictures of Parquet files one at a time, by reading their groups from the beginning.

    The batches that were read last are kept, and the group goes on where it was left: pictures that are asked for in
    their order are read once. Several threads may ask at once. Raises FileError as `table.stored.group_batches` does,
    also where a batch unpacks to far more than its file has, and DataError where a store does not answer.
    """

    def __init__(self) -> None:
        self._kept: deque[_Batch] = deque(maxlen=KEPT)
        self._ahead: Iterator[_Batch] = iter(())
        self._at: tuple[GroupedFile, int, int] | None = None  # the file, the group, the first row that is not read yet
        self._lock = threading.Lock()

    def read(self, file: GroupedFile, row: int) -> bytes:
        """Return the bytes of a picture, none where the cell is empty."""
        with self._lock:
            for batch in self._kept:
                if batch.holds(file, row):
                    return _value(batch, row)
            group, start = file.group(row)
            if self._at is None or self._at[0] is not file or self._at[1] != group or row < self._at[2]:
                self._ahead = _batches(file, group, start)
            self._at = None  # until the next batch is here: a reader that failed does not go on
            for batch in self._ahead:
                self._kept.append(batch)
                if batch.holds(file, row):
                    self._at = file, group, batch.start + len(batch.values)
                    return _value(batch, row)
            raise FileError(file.file, f"ends before its row {row}", expected="the object that was listed, unchanged")


def _batches(file: GroupedFile, group: int, start: int) -> Iterator[_Batch]:
    most, total = unpack_limit(file.file.size), 0
    for values in group_batches(file.file, group, file.column):
        total += unpacked(values)
        if total > most:
            raise FileError(file.file, f"unpacks to more than {most:,} bytes", expected=f"at most {most:,}")
        yield _Batch(file, start, values)
        start += len(values)


def _value(batch: _Batch, row: int) -> bytes:
    import pyarrow.types as types

    values = batch.values
    if types.is_struct(values.type):
        values = values.field("bytes")
    return bytes(values[row - batch.start].as_py() or b"")
