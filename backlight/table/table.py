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
from backlight.table.columns import check_ids, join_rows, to_columns, to_numpy
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
        if "id" not in self.arrow.column_names:
            raise DataError(f"columns {self.arrow.column_names}", expected="a column 'id'")
        check_ids(self.arrow["id"])

    @staticmethod
    def of(columns: Mapping[str, Any] | None = None, **more: Any) -> Table:
        """Build a table from columns: lists, numpy arrays or tensors; a 2-D column becomes lists.

        Names that are no Python identifiers (`saliency.deletion`) come in the mapping. Integer ids become
        text. Raises `DataError` when lengths differ or ids repeat.
        """
        import pyarrow as pa

        return Table(pa.table(to_columns({**(columns or {}), **more})))

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
            merged = Table(join_rows(tables))
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
        return to_numpy(self.arrow[self._known(name)])

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
        return _rows(self.arrow.select(["id", *(self._known(name) for name in names if name != "id")]))

    def drop(self, *names: str) -> Table:
        """Leave these columns out."""
        return self.select(*(name for name in self.names if name not in [self._known(n) for n in names]))

    def where(self, keep: np.ndarray | Sequence[bool] | Callable[[Table], np.ndarray]) -> Table:
        """Keep the rows where a mask [N], or a function of the table that returns one, is true."""
        mask = np.asarray(keep(self) if callable(keep) else keep)
        if mask.dtype != np.bool_ or mask.shape != (len(self),):
            raise DataError(f"mask of {mask.dtype} and shape {mask.shape}", expected=f"bool, ({len(self)},)")
        return self if mask.all() else _rows(self.arrow.take(np.flatnonzero(mask)))

    def sort(self, name: str, *, descending: bool = False) -> Table:
        """Order the rows by a column; equal values are ordered by id, missing ones come last."""
        import pyarrow.compute as pc

        order = "descending" if descending else "ascending"
        keys = [(self._known(name), order, "at_end"), ("id", "ascending", "at_end")]
        return _rows(self.arrow.take(pc.sort_indices(self.arrow, sort_keys=keys if name != "id" else keys[:1])))

    def first(self, name: str, count: int, keep: np.ndarray | None = None, *, descending: bool = False) -> Table:
        """Return `where(keep).sort(name).head(count)`, of all rows without `keep`: only the first ones are copied.

        >>> Table.of(id=["a", "b", "c"], x=[3, 1, 2]).first("x", 2).ids
        ['b', 'c']
        """
        kept, values = np.ones(len(self), bool) if keep is None else keep, self[name]
        if count and values.dtype.kind in "iuf":
            known = values[kept & (values == values)]
            if len(known) > count:
                # All that are equal at the edge stay, so that ids decide among them; NaN, which comes last, does not.
                place = len(known) - count if descending else count - 1
                known.partition(place)
                kept = kept & (values >= known[place] if descending else values <= known[place])
        return self.where(kept).sort(name, descending=descending).head(count)

    def head(self, count: int) -> Table:
        """Keep the first rows."""
        return _rows(self.arrow.slice(0, count))

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

    def like(self, other: Table) -> Table:
        """Return the rows in the order of another table's, which must hold exactly the same ids.

        >>> Table.of(id=["a", "b"], x=[1, 2]).like(Table.of(id=["b", "a"]))["x"].tolist()
        [2, 1]
        """
        return self if self.arrow["id"].equals(other.arrow["id"]) else self.at(other.ids, exact=True)

    def copy(self) -> Table:
        """Return the same rows in memory of their own, apart from the tensors that they were made of.

        >>> Table.of(id=["a"], x=[1]).copy().rows()
        [{'id': 'a', 'x': 1}]
        """
        return _rows(self.arrow.take(np.arange(len(self))))

    def with_columns(self, columns: Mapping[str, Any] | None = None, **more: Any) -> Table:
        """Add columns, or replace those of the same name."""
        given, arrow = {**(columns or {}), **more}, self.arrow
        for name, column in to_columns({"id": arrow["id"], **given}).items():
            if name in arrow.column_names:
                arrow = arrow.set_column(arrow.column_names.index(name), name, column)
            else:
                arrow = arrow.append_column(name, column)
        return Table(arrow) if "id" in given else _rows(arrow)

    def join(self, other: Table) -> Table:
        """Add the columns of `other` for the same ids; both must hold exactly the same ids.

        A column that both have must agree, else `DataError` names it.
        """
        aligned = other.like(self)
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


def _rows(arrow: pa.Table) -> Table:
    """Make a table of rows of another one: that its ids are unique is known."""
    made = object.__new__(Table)
    object.__setattr__(made, "arrow", arrow)
    return made
