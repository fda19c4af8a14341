"""The kept pass of an audit: what is audited, its finished blocks, and going on from them."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from backlight.audit.passing import look_once
from backlight.classifier import Classifier
from backlight.data import Dataset, load_data
from backlight.models import load
from tools.fuzz.bombs import parquet
from tools.fuzz.inputs import Content, Files, read_in
from tools.fuzz.model_seeds import MODEL, SIZE


@cache
def audited() -> tuple[Classifier, Dataset]:
    """Return a small network and drawn pictures."""
    data = load_data("shapes:n=8,size=16,classes=3", split="all")
    return load(MODEL, random=True, size=SIZE, labels=list(data.label_names), device="cpu"), data


def passes() -> list[Files]:
    """Return the finished blocks of an audit."""
    with tempfile.TemporaryDirectory() as folder:
        go_on(Path(folder))
        return [read_in(Path(folder))]


def go_on(folder: Path) -> None:
    """Audit, with the blocks in a folder read back."""
    kept = look_once(*audited(), folder=folder / "blocks").kept
    assert kept.features.shape[0] == kept.thumbnails.shape[0] == len(kept.ids)
    kept.probabilities.sum()


def pass_bombs() -> Iterator[tuple[str, Content]]:
    """Yield finished blocks whose columns are not those of the pass, or of other shapes."""
    (files,) = passes()
    name = next(one for one in files if one.endswith(".parquet"))
    whole = files[name]
    assert isinstance(whole, bytes)
    table = pq.read_table(io.BytesIO(whole))
    for column in table.column_names:
        yield name, parquet(table.drop_columns(column))
        for values in (["x"] * len(table), [[1.0]] * len(table), [None] * len(table), [2**62] * len(table)):
            place = table.column_names.index(column)
            yield name, parquet(table.set_column(place, column, pa.array(values)))
    yield name, parquet(table.slice(0, 2))
    yield name, parquet(pa.concat_tables([table, table]))
    yield name, parquet(table.replace_schema_metadata(None))
