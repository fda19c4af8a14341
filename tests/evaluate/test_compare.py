"""Two models compared: McNemar's test and its interval, and slices."""

from __future__ import annotations

from math import comb
from pathlib import Path

import numpy as np
import pytest

from backlight.core.errors import DataError, FileError, UsageError
from backlight.evaluate.compare import compare
from backlight.evaluate.slices import accuracy_by_slice, read_slices, values_of
from backlight.table import Table


def _tables(both: int, first: int, second: int, neither: int) -> tuple[Table, Table]:
    cells = [(1, 1)] * both + [(1, 0)] * first + [(0, 1)] * second + [(0, 0)] * neither
    label = [0] * len(cells)
    one, two = ([0 if cell[k] else 1 for cell in cells] for k in (0, 1))
    ids = [f"p{i}" for i in range(len(cells))]
    confidence = [0.7] * len(cells)
    return (
        Table.of(id=ids, label=label, prediction=one, confidence=confidence),
        Table.of(id=ids, label=label, prediction=two, confidence=confidence),
    )


@pytest.mark.parametrize(("first", "second"), [(3, 12), (0, 5), (7, 7), (0, 0), (40, 21)])
def test_mcnemar_by_the_binomial_sum(first: int, second: int) -> None:
    found = compare(*_tables(30, first, second, 10))
    apart, least = first + second, min(first, second)
    tail = sum(comb(apart, k) for k in range(least + 1)) / 2**apart
    assert found.p == pytest.approx(min(1.0, 2 * tail))
    assert found.difference == pytest.approx((second - first) / found.n)
    assert found.second - found.first == pytest.approx(found.difference)
    assert found.interval[0] <= found.difference <= found.interval[1]
    assert len(found.disagreements) == apart


def test_the_interval_covers_the_true_difference() -> None:
    rng, inside = np.random.default_rng(0), 0
    for _ in range(400):
        counts = rng.multinomial(120, [0.5, 0.1, 0.2, 0.2])
        low, high = compare(*_tables(*counts)).interval
        inside += low <= 0.1 <= high
    assert 0.92 <= inside / 400 <= 0.985


def test_order_does_not_matter_and_other_pictures_are_refused() -> None:
    one, two = _tables(3, 2, 1, 1)
    assert compare(one, two.sort("prediction")).only_first == 2
    with pytest.raises(DataError, match="missing"):
        compare(one, two.head(3))


def test_slices_worst_first_with_pictures_that_have_no_value(tmp_path: Path) -> None:
    path = tmp_path / "weather.csv"
    path.write_text("path,weather,n\np0,<script>,1\np1,rain,2\np2,rain,3\np9,snow,4\np4\n", encoding="utf-8")
    table = Table.of(id=["p0", "p1", "p2", "p3", "p4"], label=[0] * 5, prediction=[0, 0, 1, 1, 1])
    found = accuracy_by_slice(table, read_slices(f"{path}:weather"))
    assert [(one.value, one.n, one.accuracy) for one in found] == [("", 2, 0.0), ("rain", 2, 0.5), ("<script>", 1, 1.0)]
    assert found[1].to_json()["interval"] == pytest.approx([0.0945, 0.9055], abs=1e-4)


@pytest.mark.parametrize("text", ["", "id\n", "name,weather\na,b\n", "id,weather\na,b\na,c\n"])
def test_files_that_are_no_slices(tmp_path: Path, text: str) -> None:
    path = tmp_path / "weather.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FileError, match="weather.csv"):
        read_slices(f"{path}:weather")


@pytest.mark.parametrize("header", ["image;light", "ID;Light", "file_name;light", "image_id;light"])
@pytest.mark.parametrize("names", [("x/p0.png", "x/p1.png"), ("x/p0", "x/p1"), ("p0.png", "p1.png"), ("p0", "p1")])
def test_slices_find_their_columns_and_pictures_as_lists_do(
    tmp_path: Path, header: str, names: tuple[str, ...]
) -> None:
    path = tmp_path / "light.csv"
    path.write_text(f"{header}\n{names[0]};day\n{names[1]};night\n", encoding="utf-8")
    table = Table.of(id=["x/p0.png", "x/p1.png"], label=[0, 0], prediction=[0, 1])
    found = accuracy_by_slice(table, read_slices(f"{path}:light"))
    assert [(one.value, one.accuracy) for one in found] == [("night", 0.0), ("day", 1.0)]


def test_names_that_two_pictures_share_find_neither(tmp_path: Path) -> None:
    assert values_of(["a/1.png", "b/1.png", "c/2.png"], {"1": "day", "2": "night"}) == [None, None, "night"]


def test_other_mistakes_with_slices(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="FILE.csv:column"):
        read_slices("weather.csv")
    with pytest.raises(FileError, match="does not exist"):
        read_slices(f"{tmp_path / 'absent.csv'}:weather")
    with pytest.raises(DataError, match="no picture has a value"):
        accuracy_by_slice(Table.of(id=["a"], label=[0], prediction=[0]), {"b": "rain"})
