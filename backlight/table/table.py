"""One row per image, keyed by the image's id: what every evaluation yields and every report reads."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backlight.core.atomic import atomic
from backlight.core.errors import DataError, FileError, UsageError, did_you_mean
from backlight.table.stored import read_arrow

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, eq=False, repr=False)
class Table:
    """Hold columns of equal length, one row per image; `id` is text and unique.

    Build one with `Table.of`; every method returns a new table.

    >>> table = Table.of(id=["a", "b"], label=[0, 1], logits=[[0.1, 0.9], [0.2, 0.8]])
    >>> len(table), table.names, table["logits"].shape
    (2, ['id', 'label', 'logits'], (2, 2))
    >>> table.where(table["label"] == 1).rows()
    [{'id': 'b', 'label': 1, 'logits': [0.2, 0.8]}]
    """

    arrow: pa.Table

    def __post_init__(self) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        if "id" not in self.arrow.column_names:
            raise DataError(f"columns {self.arrow.column_names}", expected="a column 'id'")
        ids = self.arrow["id"]
        if not pa.types.is_string(ids.type):
            raise DataError(f"ids of type {ids.type}", expected="text")
        if pc.count_distinct(ids).as_py() != len(ids) or ids.null_count:
            twice = [entry["values"] for entry in pc.value_counts(ids).to_pylist() if entry["counts"] > 1]
            raise DataError(f"ids that repeat or are missing: {twice[:3]}", expected="one row per id")

    @staticmethod
    def of(columns: Mapping[str, Any] | None = None, **more: Any) -> Table:
        """Build a table from columns: lists, numpy arrays or tensors; a 2-D column becomes lists.

        Names that are no Python identifiers (`saliency.deletion`) come in the mapping. Integer ids become
        text. Raises `DataError` when lengths differ or ids repeat.
        """
        import pyarrow as pa

        arrays = {name: _array(name, values) for name, values in {**(columns or {}), **more}.items()}
        lengths = {name: len(array) for name, array in arrays.items()}
        if len(set(lengths.values())) > 1:
            raise DataError(f"columns of different length: {lengths}", expected="one row per image")
        return Table(pa.table(arrays))

    @staticmethod
    def numbered(columns: Mapping[str, Any]) -> Table:
        """Build a table whose rows have no names of their own: their ids count from 1.

        >>> Table.numbered({"class": ["cat", "dog"]}).ids
        ['1', '2']
        """
        count = len(next(iter(columns.values()), ()))
        return Table.of({"id": range(1, count + 1), **columns})

    @staticmethod
    def read(path: str | Path, columns: Sequence[str] | None = None) -> Table:
        """Read a table from a Parquet file, `id` and these columns alone if given.

        Columns that it does not have are left out. Raises `FileError` when it is none, `DataError` when ids are amiss.
        """
        return Table(read_arrow(path, None if columns is None else ["id", *columns]))

    @staticmethod
    def merge(shards: Iterable[Table], ids: Sequence[object] | None = None) -> Table:
        """Stack shards of rows; with `ids` the rows come in that order.

        Raises `DataError` when an id occurs twice, or when the shards do not hold exactly `ids`.

        >>> Table.merge([Table.of(id=["b"], x=[2]), Table.of(id=["a"], x=[1])], ids=["a", "b"])["x"].tolist()
        [1, 2]
        """
        import pyarrow as pa

        tables = [shard.arrow for shard in shards]
        if not tables:
            raise DataError("no shards to merge", expected="at least one table")
        try:
            # One piece of memory: rows of thousands of pieces are slow to find.
            merged = Table(pa.concat_tables(tables, promote_options="permissive").combine_chunks())
        except pa.ArrowException as error:
            raise DataError(f"shards with different columns ({error})", expected="the same columns") from None
        return merged if ids is None else merged.at(ids, exact=True)

    @property
    def names(self) -> list[str]:
        """List the names of the columns."""
        return list(self.arrow.column_names)

    @property
    def is_numbered(self) -> bool:
        """Whether ids only count the rows from 1."""
        return self.ids == [str(place) for place in range(1, len(self) + 1)]

    @property
    def ids(self) -> list[str]:
        """List the ids in order."""
        return self.arrow["id"].to_pylist()

    def __len__(self) -> int:
        return self.arrow.num_rows

    def __contains__(self, name: object) -> bool:
        return name in self.arrow.column_names

    def __getitem__(self, name: str) -> np.ndarray:
        """Return a column as an array: [N], or [N, K] for lists of one length."""
        import pyarrow as pa

        column = self.arrow[self._known(name)].combine_chunks()
        if not pa.types.is_list(column.type):
            return column.to_numpy(zero_copy_only=False)
        widths = column.value_lengths().unique()
        if len(widths) == 1 and not column.null_count:
            return column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), widths[0].as_py())
        return column.to_numpy(zero_copy_only=False)

    def rows(self) -> list[dict[str, Any]]:
        """List the rows as plain dictionaries."""
        return self.arrow.to_pylist()

    def to_csv(self, *, ids: bool = True) -> str:
        r"""Return the table as CSV, every value exact; without `ids` the column `id` is left out, as in the next two.

        >>> Table.numbered({"metric": ["accuracy"], "mean": [0.5]}).to_csv(ids=False)
        'metric,mean\naccuracy,0.5\n'
        """
        from backlight.table.text import to_csv

        return to_csv(self, ids)

    def to_markdown(self, *, ids: bool = True) -> str:
        """Return the table as Markdown, numbers with four digits."""
        from backlight.table.text import to_markdown

        return to_markdown(self, ids)

    def to_latex(self, *, ids: bool = True) -> str:
        """Return the table as a tabular of LaTeX, numbers with four digits."""
        from backlight.table.text import to_latex

        return to_latex(self, ids)

    def to_pandas(self) -> Any:
        """Return the table as a pandas DataFrame; raises UsageError where pandas is not installed.

        >>> Table.of(id=["a"], score=[0.5]).to_pandas()["score"].tolist()
        [0.5]
        """
        if importlib.util.find_spec("pandas") is None:
            raise UsageError("a DataFrame without pandas", hint="pip install pandas")
        return self.arrow.to_pandas()

    def select(self, *names: str) -> Table:
        """Keep `id` and these columns, in this order."""
        return Table(self.arrow.select(["id", *(self._known(name) for name in names if name != "id")]))

    def drop(self, *names: str) -> Table:
        """Leave these columns out."""
        return self.select(*(name for name in self.names if name not in [self._known(n) for n in names]))

    def where(self, keep: np.ndarray | Sequence[bool] | Callable[[Table], np.ndarray]) -> Table:
        """Keep the rows where a mask [N], or a function of the table that returns one, is true."""
        mask = np.asarray(keep(self) if callable(keep) else keep)
        if mask.dtype != np.bool_ or mask.shape != (len(self),):
            raise DataError(f"mask of {mask.dtype} and shape {mask.shape}", expected=f"bool, ({len(self)},)")
        return Table(self.arrow.take(np.flatnonzero(mask)))

    def sort(self, name: str, *, descending: bool = False) -> Table:
        """Order the rows by a column; equal values are ordered by id, missing ones come last."""
        import pyarrow.compute as pc

        order = "descending" if descending else "ascending"
        keys = [(self._known(name), order, "at_end"), ("id", "ascending", "at_end")]
        return Table(self.arrow.take(pc.sort_indices(self.arrow, sort_keys=keys if name != "id" else keys[:1])))

    def head(self, count: int) -> Table:
        """Keep the first rows."""
        return Table(self.arrow.slice(0, count))

    def at(self, ids: Sequence[object], *, exact: bool = False) -> Table:
        """Return the rows of these ids, in this order; `exact` also refuses rows beyond them."""
        place = {key: row for row, key in enumerate(self.ids)}
        wanted = [str(key) for key in ids]
        missing = [key for key in wanted if key not in place]
        extra = sorted(set(place) - set(wanted)) if exact else []
        if missing or extra:
            raise DataError(
                f"{len(missing)} ids missing {missing[:3]}, {len(extra)} too many {extra[:3]}",
                expected=f"exactly {len(wanted)} ids" if exact else "known ids",
            )
        return Table(self.arrow.take(np.array([place[key] for key in wanted], dtype=np.int64)))

    def copy(self) -> Table:
        """Return the same rows in memory of their own, apart from the tensors that they were made of.

        >>> Table.of(id=["a"], x=[1]).copy().rows()
        [{'id': 'a', 'x': 1}]
        """
        return Table(self.arrow.take(np.arange(len(self))))

    def with_columns(self, columns: Mapping[str, Any] | None = None, **more: Any) -> Table:
        """Add columns, or replace those of the same name."""
        added = Table.of(id=self.arrow["id"], **{**(columns or {}), **more}).arrow
        arrow = self.arrow
        for name in added.column_names[1:]:
            if name in arrow.column_names:
                arrow = arrow.set_column(arrow.column_names.index(name), name, added[name])
            else:
                arrow = arrow.append_column(name, added[name])
        return Table(arrow)

    def join(self, other: Table) -> Table:
        """Add the columns of `other` for the same ids; both must hold exactly the same ids.

        A column that both have must agree, else `DataError` names it.
        """
        aligned = other.at(self.ids, exact=True)
        shared = [name for name in aligned.names if name in self and name != "id"]
        for name in shared:
            if not self.arrow[name].equals(aligned.arrow[name]):
                raise DataError(f"column {name!r} differs between the tables", expected="equal values")
        new = {name: aligned.arrow[name] for name in aligned.names if name not in self}
        return self.with_columns(new)

    def write(self, path: str | Path) -> Path:
        """Write the table as the suffix says (.parquet, .csv, .md, .tex), complete or not at all."""
        import pyarrow.parquet as pq

        from backlight.table.text import WRITERS

        target = Path(path)
        kinds = [".parquet", *WRITERS]
        if target.suffix not in kinds:
            raise FileError(target, f"unknown kind {target.suffix!r}", expected=" ".join(kinds))
        with atomic(target) as temporary:
            if target.suffix == ".parquet":
                with temporary.open("wb") as file:
                    pq.write_table(self.arrow, file)
            else:
                Path(temporary).write_text(WRITERS[target.suffix](self, True), encoding="utf-8", newline="")
        return target

    def _known(self, name: str) -> str:
        if name not in self:
            raise DataError(f"no column {name!r}", hint=did_you_mean(name, self.names))
        return name

    def __repr__(self) -> str:
        return f"Table({len(self)} rows: {', '.join(self.names)})"

    def _repr_html_(self) -> str:
        from backlight.table.text import to_html

        return to_html(self.head(20))


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
