import numpy as np
import pytest

from backlight.core.plugins import Registry
from backlight.page.sections import TableSection
from backlight.report.tables import TABLE_SECTIONS, accuracy_by_class, table_sections
from backlight.table import Table

LABELS = ("<b>cat</b>", "dog", "owl", "never seen")


def predicted(n: int = 60) -> Table:
    numbers = np.random.default_rng(0)
    label = numbers.integers(0, 3, n)
    prediction = np.where(numbers.random(n) < 0.6, label, numbers.integers(0, 4, n))
    return Table.of(id=[str(row) for row in range(n)], label=label, prediction=prediction)


def test_accuracy_by_class_is_that_of_a_loop() -> None:
    table = predicted()
    rows = {row.label: row for row in accuracy_by_class(table, LABELS)}
    assert set(rows) == set(LABELS[:3])
    for index, name in enumerate(LABELS[:3]):
        mine = [row["prediction"] for row in table.rows() if row["label"] == index]
        wrong = [one for one in mine if one != index]
        row = rows[name]
        assert row.n == len(mine)
        assert row.accuracy == (len(mine) - len(wrong)) / len(mine)
        assert row.interval[0] < row.accuracy < row.interval[1]
        assert row.mistaken == max(wrong.count(one) for one in wrong)
        assert wrong.count(LABELS.index(row.mistaken_for)) == row.mistaken


def test_the_worst_class_comes_first() -> None:
    shares = [row.accuracy for row in accuracy_by_class(predicted(), LABELS)]
    assert shares == sorted(shares)


def test_sections_follow_from_the_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    found = table_sections(predicted(), LABELS, "toys (test)")
    assert [one.anchor for one in found] == ["accuracy"]
    assert "<b>cat</b>" not in found[0].html
    assert "&lt;b&gt;cat&lt;/b&gt;" in found[0].html
    assert "toys (test)" in found[0].html
    assert table_sections(Table.of(id=["a"], label=[0]), LABELS, "toys") == []

    # A later section needs no more than a function of the table, a template and an entry in the list.
    more = TableSection("skip", "More", frozenset({"loss"}), "skipped.html", lambda table, labels: {
        "failed": [(one, str(loss)) for one, loss in zip(table.ids, table["loss"])]
    })  # fmt: skip
    sections = Registry("sections", "section", (*TABLE_SECTIONS.built_in.values(), more), TableSection)
    monkeypatch.setattr("backlight.report.tables.TABLE_SECTIONS", sections)
    both = table_sections(predicted(2).with_columns(loss=[0.5, 2.5]), LABELS, "toys")
    assert [one.anchor for one in both] == ["accuracy", "skip"]
    assert "2.5" in both[1].html


def test_many_classes_are_one_table_that_can_be_sorted_as_a_whole() -> None:
    n = 30
    table = Table.of(id=[str(row) for row in range(n)], label=list(range(n)), prediction=[0] * n)
    html = table_sections(table, tuple(f"class {row}" for row in range(n)), "toys")[0].html
    assert html.count("<tbody>") == 1
    assert html.count('<th scope="row">') == n


def test_of_ten_thousand_classes_the_worst_thousand_are_listed() -> None:
    count = 10_000
    labels, names = np.arange(count), tuple(f"class {number}" for number in range(count))
    right = Table.of(id=[str(number) for number in range(count)], label=labels, prediction=labels)
    (section,) = table_sections(right, names, "data")
    assert section.html.count('<tr><th scope="row">') == 1000
    assert "9,000 more classes" in section.html
    assert len(section.html) < 500_000
