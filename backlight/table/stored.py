"""Parquet files that nobody vouches for, to Arrow tables: a few rows at a time, since equal rows are stored once."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backlight.core.errors import BacklightError, FileError
from backlight.core.reading import unpack_limit
from backlight.core.remote import RemoteFile, open_stored

if TYPE_CHECKING:
    import pyarrow as pa

SIZE_LIMIT = 16 * 2**30
_ROWS = 4096  # read at once
_BATCH = 2**24  # bytes of pictures read at once where they are not all kept


def read_arrow(
    path: str | os.PathLike[str] | RemoteFile,
    columns: Collection[str] | None = None,
    *,
    expected: str = "a Parquet file",
) -> pa.Table:
    """Read a Parquet file, here or in a store, these columns alone if given, as far as it has them.

    At most what `core.reading.unpack_limit` allows is unpacked.

    Raises FileError for a file that is missing, no regular file, damaged, or made to fill memory.

    >>> read_arrow("nowhere.parquet")
    Traceback (most recent call last):
    ...
    backlight.core.errors.FileError: nowhere.parquet: does not exist; expected a Parquet file
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with _opened(path, expected) as stream:
        most = min(unpack_limit(stream.seek(0, 2)), SIZE_LIMIT)
        plain = pq.ParquetFile(stream)
        packed = pq.ParquetFile(stream, read_dictionary=_texts(plain.schema))
        schema = plain.schema_arrow
        if columns is not None:
            schema = pa.schema([one for one in schema if one.name in columns], schema.metadata)
        batches, total = [], _fixed_bytes(plain.schema) * plain.metadata.num_rows
        for batch in _batches(packed, schema.names) if total <= most else ():
            total += sum(map(unpacked, batch.columns))
            if total > most:
                break
            batches.append(pa.Table.from_batches([batch]).cast(schema))
        if total > most:
            raise FileError(path, f"unpacks to more than {most:,} bytes", expected=f"at most {most:,}")
        return pa.concat_tables(batches) if batches else schema.empty_table()


def read_layout(file: RemoteFile) -> tuple[pa.Schema, tuple[int, ...]]:
    """Return the columns of a Parquet file and how many rows each of its groups has; no row is read.

    Raises as `read_arrow` does.
    """
    import pyarrow.parquet as pq

    with _opened(file) as stream:
        opened = pq.ParquetFile(stream)
        groups = (opened.metadata.row_group(group) for group in range(opened.num_row_groups))
        return opened.schema_arrow, tuple(group.num_rows for group in groups)


def group_batches(file: RemoteFile, group: int, column: str) -> Iterator[pa.Array]:
    """Yield a column of bytes, or of structs with a field `bytes`, of one group of rows: about 16 MiB at a time.

    Equal cells are stored once. Raises as `read_arrow` does.
    """
    import pyarrow.parquet as pq
    import pyarrow.types as types

    with _opened(file) as stream:
        plain = pq.ParquetFile(stream)
        packed = pq.ParquetFile(stream, read_dictionary=_texts(plain.schema), buffer_size=2**20)
        about = plain.metadata.row_group(group)
        rows = max(1, min(_ROWS, _BATCH * about.num_rows // max(1, about.total_byte_size)))
        wanted = f"{column}.bytes" if types.is_struct(plain.schema_arrow.field(column).type) else column
        for batch in packed.iter_batches(rows, row_groups=[group], columns=[wanted]):
            yield batch.column(0)


@contextmanager
def _opened(path: str | os.PathLike[str] | RemoteFile, expected: str = "a Parquet file") -> Iterator[Any]:
    """Open a file, and say of whatever its reader raises that it is no Parquet file."""
    with open_stored(path if isinstance(path, RemoteFile) else Path(path), expected=expected) as stream:
        try:
            yield stream
        except BacklightError:
            raise
        except Exception as error:  # a damaged file decides in which of its ways the library fails
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise FileError(path, f"not a Parquet file ({reason})", expected=expected) from None


def _batches(file: Any, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Read group by group: each has a list of values of its own, and nested columns cannot refer to two of them."""
    for group in range(file.num_row_groups):
        yield from file.iter_batches(_ROWS, row_groups=[group], columns=columns)


def _texts(schema: Any) -> list[str]:
    """List the columns of bytes and texts, which are read as references into the list of their values."""
    columns = [schema.column(place) for place in range(len(schema.names))]
    return [one.path for one in columns if one.physical_type == "BYTE_ARRAY"]


def _fixed_bytes(schema: Any) -> int:
    """Return how many bytes of a row lie in columns of bytes of one length."""
    columns = [schema.column(place) for place in range(len(schema.names))]
    return sum(one.length for one in columns if one.physical_type == "FIXED_LEN_BYTE_ARRAY")


def unpacked(column: pa.Array) -> int:
    """Return how many bytes a column takes without references."""
    import pyarrow.compute as pc
    import pyarrow.types as types

    if types.is_dictionary(column.type):
        lengths = pc.binary_length(column.dictionary).take(column.indices)
        return int(pc.sum(lengths).as_py() or 0)
    if types.is_struct(column.type):
        return sum(map(unpacked, column.flatten()))
    if types.is_list(column.type) or types.is_large_list(column.type):
        return int(column.nbytes if types.is_primitive(column.type.value_type) else unpacked(column.flatten()))
    return int(column.nbytes)
