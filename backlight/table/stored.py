"""Parquet files that nobody vouches for, to Arrow tables: a few rows at a time, since equal rows are stored once."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from backlight.core.errors import FileError
from backlight.core.reading import open_regular, unpack_limit

if TYPE_CHECKING:
    import pyarrow as pa

SIZE_LIMIT = 16 * 2**30
_ROWS = 4096  # read at once


def read_arrow(
    path: str | os.PathLike[str], columns: Collection[str] | None = None, *, expected: str = "a Parquet file"
) -> pa.Table:
    """Read a Parquet file, these columns alone if given, as far as it has them.

    At most what `core.reading.unpack_limit` allows is unpacked.

    Raises FileError for a file that is missing, no regular file, damaged, or made to fill memory.

    >>> read_arrow("nowhere.parquet")
    Traceback (most recent call last):
    ...
    backlight.core.errors.FileError: nowhere.parquet: does not exist; expected a Parquet file
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with open_regular(path, expected=expected) as stream:
        most = min(unpack_limit(stream.seek(0, 2)), SIZE_LIMIT)
        try:
            plain = pq.ParquetFile(stream)
            packed = pq.ParquetFile(stream, read_dictionary=_texts(plain.schema))
            schema = plain.schema_arrow
            if columns is not None:
                schema = pa.schema([one for one in schema if one.name in columns], schema.metadata)
            batches, total = [], _fixed_bytes(plain.schema) * plain.metadata.num_rows
            for batch in _batches(packed, schema.names) if total <= most else ():
                total += sum(map(_unpacked, batch.columns))
                if total > most:
                    break
                batches.append(pa.Table.from_batches([batch]).cast(schema))
            if total > most:
                raise FileError(path, f"unpacks to more than {most:,} bytes", expected=f"at most {most:,}")
            return pa.concat_tables(batches) if batches else schema.empty_table()
        except FileError:
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


def _unpacked(column: pa.Array) -> int:
    """Return how many bytes a column takes without references."""
    import pyarrow.compute as pc
    import pyarrow.types as types

    if types.is_dictionary(column.type):
        lengths = pc.binary_length(column.dictionary).take(column.indices)
        return int(pc.sum(lengths).as_py() or 0)
    if types.is_struct(column.type):
        return sum(map(_unpacked, column.flatten()))
    if types.is_list(column.type) or types.is_large_list(column.type):
        return int(column.nbytes if types.is_primitive(column.type.value_type) else _unpacked(column.flatten()))
    return int(column.nbytes)
