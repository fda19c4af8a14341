from pathlib import Path

import numpy as np
import pytest
import torch

from backlight.data.dataset import Dataset
from backlight.evaluate import Evaluation
from backlight.evaluate.calibration import Reliability, coverage_curve, reliability
from backlight.evaluate.compare import compare
from backlight.evaluate.samples import tabulate
from backlight.evaluate.slices import Slice
from backlight.page.page import write_page
from backlight.report.calibration import calibration_facts, verdict
from backlight.report.comparison import comparison_section
from backlight.report.comparison import verdict as compared
from backlight.report.evaluation import evaluation_sections
from backlight.report.gallery import read_thumbnails
from backlight.report.mistakes import Mistakes
from backlight.table import Table
from backlight.table.statistics import wilson
from tests.report.reading import Document, read, stored

SCRIPT = "<script>alert(1)</script>"
LABELS = (SCRIPT, "dog", "cat", "never seen")


def toys(n: int = 60, seed: int = 0, side: int = 8) -> Dataset:
    numbers = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (n, 3, side, side), generator=numbers, dtype=torch.uint8)
    ids = [f"{SCRIPT}/{row}.png" for row in range(n)]
    return Dataset.of(images, torch.randint(0, 3, (n,), generator=numbers), LABELS, ids)


def looked_at(data: Dataset, seed: int = 1, sharp: float = 3.0) -> Evaluation:
    numbers = torch.Generator().manual_seed(seed)
    logits = torch.randn(len(data), len(LABELS), generator=numbers)
    logits[torch.arange(len(data)), data.labels] += 1
    return Evaluation(tabulate(list(data.ids), data.labels, logits * sharp), data.label_names, "test")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Document:
    data = toys()
    path = tmp_path_factory.mktemp("page") / "page.html"
    slices = [Slice(SCRIPT, 10, 0.5, (0.2, 0.8))]
    write_page(path, evaluation_sections(looked_at(data), data, name="toys", slices=slices), title="Toys", seconds=1.0)
    return read(path)


def test_every_cell_of_the_matrix_opens_its_own_pictures(page: Document) -> None:
    data = toys()
    found = looked_at(data)
    links = {one["href"][1:]: one["title"] for one in page.all("a") if one.get("href", "").startswith("#cell-")}
    counts = found.confusion.dense()
    assert set(links) - {"cell-0-0"} == {f"cell-{i}-{j}" for i, j in zip(*counts.nonzero()) if (i, j) != (0, 0)}
    assert set(links) <= set(page.ids)
    for i, j in zip(*counts.nonzero()):
        assert f": {counts[i, j]} (" in links[f"cell-{i}-{j}"]
    assert len(page.ids) == len(set(page.ids))
    assert {one["href"][1:] for one in page.all("use")} <= set(page.ids)


def test_a_cell_shows_its_most_confident_mistakes_and_its_least_confident_rights() -> None:
    data = toys(200)
    found = looked_at(data)
    mistakes = Mistakes(found)
    thumbnails = read_thumbnails(data, mistakes.wanted())
    rows = found.table.rows()
    for true, other in ((0, 1), (2, 0), (1, 1)):
        own = [row for row in rows if row["label"] == true and row["prediction"] == other]
        own.sort(key=lambda row: row["confidence"], reverse=true != other)
        cell = mistakes.shown_cell(true, other, thumbnails, 8)
        assert [one.name for one in cell.shown] == [row["id"] for row in own[:8]]
        assert cell.count == len(own)
        assert cell.left == len(own) - len(cell.shown)


def test_the_worst_class_and_its_partner_by_counting() -> None:
    found = looked_at(toys(200))
    counts = found.confusion.dense()
    shares = [counts[k, k] / counts[k].sum() for k in range(3)]
    first = int(np.argmin(shares))
    both = [(counts[first, k] + counts[k, first]) if k != first else -1 for k in range(4)]
    assert Mistakes(found).worst == (first, int(np.argmax(both)))


def test_pictures_are_those_of_the_data(page: Document) -> None:
    data = toys()
    wanted = Mistakes(looked_at(data)).wanted()
    first = np.asarray(stored(page, "thumbnail-0").convert("RGB"))
    row = data.ids.index(wanted[0])
    assert np.array_equal(first, data.read([row])[0].permute(1, 2, 0).numpy())


def test_hostile_names_stay_words(page: Document) -> None:
    assert len(page.all("script")) == 1  # the page's own
    assert SCRIPT in page.text
    assert f"{SCRIPT}/" in page.text
    assert all(source.startswith(("data:", "#")) for source in page.sources)
    for one in page.all("svg"):
        assert one.get("aria-hidden") == "true" or one["aria-label"]


def test_many_classes_and_large_pictures_stay_small(tmp_path: Path) -> None:
    labels = [f"class {row}" for row in range(300)]
    numbers = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (600, 3, 200, 150), generator=numbers, dtype=torch.uint8)
    data = Dataset.of(images, [row % 300 for row in range(600)], labels)
    logits = torch.randn(600, 300, generator=numbers)
    found = Evaluation(tabulate(list(data.ids), data.labels, logits), data.label_names)
    write_page(tmp_path / "page.html", evaluation_sections(found, data), title="Many", seconds=1.0)
    assert (tmp_path / "page.html").stat().st_size < 5_000_000
    assert "Of 300 classes, the 20 with most mistakes are shown." in read(tmp_path / "page.html").text


def test_the_bound_on_bytes_and_pictures_holds() -> None:
    data = toys(50)
    all_of_them = read_thumbnails(data, data.ids)
    size = sum(len(one.uri) for one in all_of_them.values())
    assert len(all_of_them) == 50
    assert list(read_thumbnails(data, data.ids, most=7)) == list(data.ids[:7])
    some = read_thumbnails(data, data.ids, most_bytes=size // 2)
    assert 20 < len(some) < 30
    assert sum(len(one.uri) for one in some.values()) <= size // 2


def test_grey_pictures_and_other_channels_are_shown() -> None:
    for channels in (1, 2, 4):
        data = Dataset.of(torch.full((2, channels, 8, 8), 100, dtype=torch.uint8))
        assert len(read_thumbnails(data, data.ids)) == 2


def test_no_mistakes_at_all() -> None:
    data = toys()
    table = tabulate(list(data.ids), data.labels, 9 * torch.eye(4)[data.labels])
    html = "".join(section.html for section in evaluation_sections(Evaluation(table, data.label_names), data))
    assert "No picture is taken for another class." in html
    assert "It contradicts no label" in html


def test_the_diagram_has_the_numbers_of_the_metric() -> None:
    table = looked_at(toys(200)).table
    facts = calibration_facts(table, LABELS)
    found = reliability(table)
    assert facts["ece"] == found.ece
    assert sum(row[2] for row in facts["rows"]) == 200
    shares, accuracies = coverage_curve(table)
    assert f"100%: {100 * accuracies[-1]:.0f}" in facts["coverage"]
    assert shares[-1] == 1


def groups(*told: tuple[int, float, float]) -> Reliability:
    return Reliability(*(np.array(column) for column in zip(*told)))


CERTAINTY = [
    (groups((200, 0.7, 0.5)), "too sure of itself"),
    (groups((200, 0.3, 0.5)), "more often right than it dares"),
    (groups((400, 0.9, 0.5), (400, 0.4, 0.8)), "too sure in some places and not sure enough in others"),
    (groups((400, 0.51, 0.5)), "As far as 400 pictures can tell"),
    (groups((100, 0.43, 0.40)), "As far as 100 pictures can tell"),  # right are 31 to 50%, plausibly
    (groups((10, 0.7, 0.5)), "As far as 10 pictures can tell"),
]


@pytest.mark.parametrize(("found", "words"), CERTAINTY)
def test_certainty_is_judged_only_outside_of_the_interval(found: Reliability, words: str) -> None:
    assert words in verdict(found)


def test_one_of_many_groups_may_miss_its_interval_by_chance() -> None:
    # Alone, 11 of 20 with 77% confidence would be outside of the 95% interval of 34 to 74%.
    rows = [(20, 0.77, 0.55), *((20, 0.5 + 0.01 * number, 0.5 + 0.01 * number) for number in range(14))]
    assert wilson(11, 20)[1] < 0.77
    assert "can tell" in verdict(groups(*rows))


def evaluation_of(counts: list[list[int]]) -> Evaluation:
    pairs = [(true, other) for true, row in enumerate(counts) for other, n in enumerate(row) for _ in range(n)]
    columns = {"confidence": [0.9] * len(pairs), "loss": [0.1] * len(pairs)}
    labels, taken = zip(*pairs)
    table = Table.of(id=[str(place) for place in range(len(pairs))], label=labels, prediction=taken, **columns)
    return Evaluation(table, tuple("abc"))


def test_a_class_is_called_the_worst_only_where_that_is_more_than_chance() -> None:
    assert not Mistakes(evaluation_of([[3, 1, 0], [0, 4, 0], [0, 0, 4]])).apart
    assert Mistakes(evaluation_of([[20, 60, 0], [0, 70, 10], [0, 10, 70]])).apart


def test_the_partner_is_counted_both_ways() -> None:
    # Class 0 is taken for 1 more often than for 2, but 2 is taken for 0 oftener still.
    found = evaluation_of([[10, 6, 5], [0, 30, 0], [9, 0, 30]])
    assert Mistakes(found).worst == (0, 2)


def test_two_models_side_by_side(tmp_path: Path) -> None:
    data = toys(100)
    first, second = looked_at(data, 1), looked_at(data, 2)
    comparison = compare(first.table, second.table)
    section = comparison_section(first, second, comparison, data, ("one", SCRIPT))
    write_page(tmp_path / "page.html", [section], title="Both", seconds=1.0)
    page = read(tmp_path / "page.html")
    assert f"Only one is right: {comparison.only_first}" in page.text
    assert f"Only {SCRIPT} is right: {comparison.only_second}" in page.text
    apart = comparison.disagreements
    wrong = ((apart["label"] != apart["prediction"]) & (apart["label"] != apart["prediction_second"])).sum()
    assert f"Both are wrong, each in its own way: {wrong}" in page.text
    assert f"{100 * comparison.difference:+.2f} points" in page.text
    assert f"p = {comparison.p:.3g}" in page.text
    assert len(page.all("script")) == 1


def test_verdicts_follow_the_test() -> None:
    data = toys(100)
    good = looked_at(data, 1, sharp=3.0)
    right = Evaluation(tabulate(list(data.ids), data.labels, 9 * torch.eye(4)[data.labels]), data.label_names)
    assert compared(compare(good.table, right.table), ("a", "b")).startswith("b is better")
    assert compared(compare(right.table, good.table), ("a", "b")).startswith("a is better")
    assert "very same" in compared(compare(right.table, right.table), ("a", "b"))
    few = [row for row in range(100) if good.table["label"][row] != good.table["prediction"][row]][:1] + [
        row for row in range(100) if good.table["label"][row] == good.table["prediction"][row]
    ][:3]
    ids = [good.table.ids[row] for row in few]
    assert "chance" in compared(compare(good.table.at(ids), right.table.at(ids)), ("a", "b"))
