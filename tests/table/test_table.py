import csv
import io
import json

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from backlight.core.errors import DataError, FileError
from backlight.table import Table
from backlight.table.text import to_csv, to_html, to_latex, to_markdown

HOSTILE = ['<script>alert("1")</script>', "a|b*c_d", r"\input{x} & 50% $1 #2 ~ ^", 'two\nlines, "quoted"', ""]


def table(n=5):
    return Table.of(id=[f"k{i}" for i in range(n)], label=np.arange(n) % 2, logits=torch.arange(3.0 * n).view(n, 3))


def test_columns_come_back_as_given():
    t = table()
    assert t["label"].tolist() == [0, 1, 0, 1, 0]
    assert np.array_equal(t["logits"], np.arange(15.0, dtype=np.float32).reshape(5, 3))
    assert t["logits"].dtype == np.float32
    assert Table.of(id=[1, 2], x=torch.ones(2, dtype=torch.bfloat16))["x"].dtype == np.float32
    assert list(Table.of(id=["a", "b"], x=[[1], [1, 2]])["x"][1]) == [1, 2]
    assert Table.of(id=[], x=torch.zeros(0, 4)).rows() == []


@pytest.mark.parametrize(
    "columns",
    [{"x": [1]}, {"id": ["a", "a"]}, {"id": ["a", None]}, {"id": ["a"], "x": [1, 2]}]
    + [{"id": ["a"], "x": np.zeros((1, 2, 2))}, {"id": ["a", "b"], "x": [1, "two"]}],
)
def test_broken_columns_are_refused(columns):
    with pytest.raises(DataError):
        Table.of(columns)


def test_select_where_sort_head():
    t = table()
    assert t.select("label").names == ["id", "label"]
    assert t.drop("logits").names == ["id", "label"]
    assert t.where(lambda t: t["label"] == 1).ids == ["k1", "k3"]
    assert t.where([True, False, False, False, True]).ids == ["k0", "k4"]
    assert t.sort("label", descending=True).ids == ["k1", "k3", "k0", "k2", "k4"]
    assert t.sort("id", descending=True).head(2).ids == ["k4", "k3"]
    with pytest.raises(DataError, match="label"):
        t.select("lable")
    with pytest.raises(DataError):
        t.where(np.array([0, 1, 0, 1, 0]))


_VALUES = st.sampled_from([0.0, 1.0, 1.5, float("inf"), -float("inf"), float("nan")])


@given(st.lists(_VALUES | st.none(), min_size=1, max_size=12), st.integers(0, 13), st.booleans(), st.data())
def test_the_first_rows_are_those_of_the_whole_sorted(values, count, descending, drawn):
    ids = drawn.draw(st.permutations([f"k{place}" for place in range(len(values))]))
    keep = np.array(drawn.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values))))
    column = pa.array(values, pa.float64(), from_pandas=False)
    numbers = np.array([0 if one is None or not np.isfinite(one) else int(2 * one) for one in values])
    t = Table.of(id=ids, x=column, n=numbers, u=numbers.astype(np.uint8), text=[str(one) for one in values])
    for name in t.names:
        whole = t.where(keep).sort(name, descending=descending).head(count)
        assert t.first(name, count, keep, descending=descending).ids == whole.ids
        assert t.first(name, count).ids == t.sort(name).head(count).ids


def test_rows_of_a_table_keep_their_ids_apart():
    t = table()
    assert t.where(np.ones(5, bool)).arrow.equals(t.arrow)
    assert t.like(t) is t
    assert t.sort("id", descending=True).like(t).arrow.equals(t.arrow)
    with pytest.raises(DataError, match="missing"):
        t.head(4).like(t)
    with pytest.raises(DataError, match="repeat"):
        t.with_columns({"id": ["a"] * 5})
    with pytest.raises(DataError, match="different length"):
        t.with_columns(x=[1])


def test_join_by_id_ignores_order_and_refuses_disagreement():
    t = table()
    joined = t.select("label").join(t.sort("id", descending=True))
    assert joined.names == ["id", "label", "logits"]
    assert np.array_equal(joined["logits"], t["logits"])
    with pytest.raises(DataError, match="label"):
        t.join(t.with_columns(label=np.ones(5, dtype=np.int64)))
    with pytest.raises(DataError, match="1 ids missing"):
        t.join(t.head(4))


@given(st.permutations(range(7)), st.integers(0, 7))
def test_merge_restores_any_sharding(order, cut):
    t = table(7)
    shuffled = t.at([f"k{i}" for i in order])
    shards = [shuffled.head(cut), shuffled.where(np.arange(7) >= cut)]
    assert Table.merge(shards, ids=t.ids).arrow.equals(t.arrow)


def test_shards_of_other_columns_are_stacked_as_arrow_stacks_them_whole():
    shards = [table(3), Table.of(id=["a"], x=["text"]), Table.of(id=["b", "c"], label=[7, None], x=[None, "more"])]
    whole = pa.concat_tables([one.arrow for one in shards], promote_options="permissive").combine_chunks()
    merged = Table.merge(iter(shards)).arrow
    assert merged.equals(whole)
    assert merged.schema.equals(whole.schema)
    assert all(column.num_chunks == 1 for column in merged.columns)


def test_merge_refuses_missing_double_extra():
    t = table()
    with pytest.raises(DataError, match="k4"):
        Table.merge([t.head(4)], ids=t.ids)
    with pytest.raises(DataError, match="k0"):
        Table.merge([t, t.head(1)])
    with pytest.raises(DataError, match="too many"):
        Table.merge([t], ids=t.ids[:4])
    with pytest.raises(DataError):
        Table.merge([])


def test_parquet_round_trip_and_failures(tmp_path):
    t = table().with_columns({"saliency.deletion": [0.1, None, 0.3, 0.4, 0.5]})
    assert Table.read(t.write(tmp_path / "t.parquet")).arrow.equals(t.arrow)
    (tmp_path / "bad.parquet").write_bytes(b"not a table")
    for path in (tmp_path / "bad.parquet", tmp_path / "absent.parquet"):
        with pytest.raises(FileError, match=path.name):
            Table.read(path)
    with pytest.raises(FileError, match="parquet"):
        t.write(tmp_path / "t.xls")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.parquet", "t.parquet"]


def test_csv_reads_back_exactly(tmp_path):
    t = Table.of(id=HOSTILE, x=[0.1, 1 / 3, float("nan"), 1e-300, None], v=[[1.5], [2.5], [], [0.5], None])
    rows = list(csv.DictReader(io.StringIO(t.write(tmp_path / "t.csv").read_text(), newline="")))
    assert [row["id"] for row in rows] == HOSTILE
    assert float(rows[1]["x"]) == 1 / 3
    assert json.loads(rows[0]["v"]) == [1.5]
    assert rows[4]["x"] == ""
    assert to_csv(t.head(0)) == "id,x,v\n"


def test_text_formats_escape_hostile_names(tmp_path):
    t = Table.of({"id": HOSTILE, "<b>|&": [1, 2, 3, 4, 5]})
    assert "<script>" not in to_html(t)
    assert "<b>" not in to_html(t)
    markdown = to_markdown(t).splitlines()
    assert len(markdown) == 7
    assert "<script>" not in markdown[2]
    assert r"a\|b\*c\_d" in markdown[3]
    latex = to_latex(t)
    assert r"\textbackslash{}input\{x\} \& 50\% \$1 \#2 \textasciitilde{} \textasciicircum{}" in latex
    assert len(latex.splitlines()) == 11
    for name in ("t.md", "t.tex"):
        assert t.write(tmp_path / name).read_text().count("\n") in (7, 11)
    assert "5 rows" in repr(t)
    assert t._repr_html_() == to_html(t)
