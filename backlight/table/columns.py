"""Columns of a table: from lists, arrays and tensors to Arrow, and from Arrow back to arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from backlight.core.errors import DataError
from backlight.core.repeats import may_repeat

if TYPE_CHECKING:
    import pyarrow as pa

_AT_ONCE = 2**16  # texts that are Python's at the same time


def to_columns(columns: Mapping[str, Any]) -> dict[str, pa.Array | pa.ChunkedArray]:
    """Make columns of lists, numpy arrays or tensors; raises DataError where their lengths differ.

    >>> [len(column) for column in to_columns({"id": ["a", "b"], "x": np.zeros((2, 3))}).values()]
    [2, 2]
    """
    arrays = {name: _array(name, values) for name, values in columns.items()}
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"columns of different length: {lengths}", expected="one row per image")
    return arrays


def to_numpy(column: pa.ChunkedArray) -> np.ndarray:
    """Return a column as an array: [N], or [N, K] for lists of one length."""
    import pyarrow as pa

    whole = column.combine_chunks()
    if not pa.types.is_list(whole.type):
        return whole.to_numpy(zero_copy_only=False)
    widths = whole.value_lengths().unique()
    if len(widths) == 1 and not whole.null_count:
        return whole.flatten().to_numpy(zero_copy_only=False).reshape(len(whole), widths[0].as_py())
    return whole.to_numpy(zero_copy_only=False)


def check_ids(ids: pa.ChunkedArray) -> None:
    """Raise DataError unless all ids are text, and no two are equal."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_string(ids.type):
        raise DataError(f"ids of type {ids.type}", expected="text")
    if ids.null_count or (may_repeat(_texts(ids), len(ids)) and pc.count_distinct(ids).as_py() < len(ids)):
        twice = [entry["values"] for entry in pc.value_counts(ids).to_pylist() if entry["counts"] > 1]
        raise DataError(f"ids that repeat or are missing: {twice[:3]}", expected="one row per id")


def join_rows(tables: list[pa.Table]) -> pa.Table:
    """Stack the rows of tables, whose list is emptied: no two copies are held but of one column at a time.

    >>> import pyarrow as pa
    >>> join_rows([pa.table({"x": [1]}), pa.table({"x": [2]})])["x"].num_chunks
    1
    """
    import pyarrow as pa

    stacked = pa.concat_tables(tables, promote_options="permissive")
    tables.clear()
    columns, schema = [], stacked.schema
    for _ in schema:
        # One piece of memory: rows of thousands of pieces are slow to find.
        columns.append(stacked.column(0).combine_chunks())
        stacked = stacked.remove_column(0)
        # Pieces that are gone make no room for whole columns, until they are given back.
        pa.default_memory_pool().release_unused()
    return pa.table(columns, schema=schema)


def _texts(column: pa.ChunkedArray) -> Iterator[str]:
    for start in range(0, len(column), _AT_ONCE):
        yield from column.slice(start, _AT_ONCE).to_pylist()


def _array(name: str, values: Any) -> pa.Array | pa.ChunkedArray:
    import pyarrow as pa
    import torch

    if isinstance(values, pa.ChunkedArray | pa.Array):
        return values
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        values = (values.float() if values.dtype in (torch.bfloat16, torch.float16) else values).numpy()
    if isinstance(values, np.ndarray) and values.ndim == 2:
        flat, width = pa.array(np.ascontiguousarray(values).reshape(-1)), values.shape[1]
        return pa.ListArray.from_arrays(pa.array(np.arange(len(values) + 1) * width, pa.int32()), flat)
    if name == "id":
        values = [value if value is None else str(value) for value in values]
    if isinstance(values, np.ndarray) and values.ndim != 1:
        raise DataError(f"column {name!r} of shape {values.shape}", expected="[N] or [N, K]")
    try:
        return pa.array(
            values if isinstance(values, np.ndarray) else list(values), pa.string() if name == "id" else None
        )
    except (pa.ArrowException, TypeError) as error:
        raise DataError(f"column {name!r} ({error})", expected="values of one type") from None
