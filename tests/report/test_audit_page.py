"""The page of an audit: lights of one sentence, a page without pictures, exports of everything, and paper."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from backlight import Classifier
from backlight.audit import Audit, audit
from backlight.data import Dataset
from backlight.page.charts import bar_chart
from backlight.page.sections import Section
from backlight.report import Options, write_report
from backlight.report.audit import audit_sections
from backlight.report.audit_verdict import AuditFacts
from backlight.report.audit_words import first_sentence
from backlight.report.exports import tables_of, write_exports
from backlight.table import Table
from tests.report.test_browser import Shown

NAMES = ["a class with quite a long name", "another one of them", "a third"]


def pictures() -> tuple[Tensor, list[int]]:
    labels = [row % 3 for row in range(240)]
    levels = torch.tensor(labels).view(-1, 1, 1, 1) * 60 + 30
    noise = torch.randint(0, 100, (240, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    return (levels + noise).clamp(0, 255).to(torch.uint8), [*labels[:-9], *(2 - one for one in labels[-9:])]


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    last = nn.Linear(12, 3)
    with torch.no_grad():
        last.weight.copy_(torch.tensor([-1.0, 0.0, 1.0])[:, None].expand(3, 12))
        last.bias.copy_(torch.tensor([4.2, 0.2, -6.6]))
    return Classifier.from_module(nn.Sequential(nn.AvgPool2d(16), nn.Flatten(), last), size=32, labels=NAMES)


@pytest.fixture(scope="module")
def found(classifier: Classifier) -> Audit:
    return audit(classifier, Dataset.of(*pictures(), NAMES), depth="quick")


def html(found: Audit, shown: bool) -> str:
    return "".join(one.html for one in audit_sections(found, AuditFacts("d", pictures=shown)))


def test_a_light_says_one_sentence_and_its_card_all_of_it(found: Audit) -> None:
    page = html(found, False)
    told = re.findall(r'<article class="light.*?</article>', page, re.DOTALL)
    assert len(told) == 6
    labels = next(one for one in found.findings if one.name == "label_errors")
    assert first_sentence(labels.sentence) != labels.sentence
    assert labels.sentence in page
    assert not any(labels.sentence in one for one in told)
    assert first_sentence("It is 3.5% of all. More.") == "It is 3.5% of all."
    assert first_sentence("These are its own mistakes. 261 pictures are.") == "These are its own mistakes."
    assert first_sentence("Only this: 0.35 of 1.") == "Only this: 0.35 of 1."


def test_without_pictures_the_page_shows_none_and_with_them_it_does(found: Audit) -> None:
    assert "data:image" in html(found, True)
    page = html(found, False)
    assert "data:image" not in page
    assert "<img" not in page
    assert page.count('class="finding') == len(found.findings)


def test_every_table_and_figure_is_a_file(found: Audit, tmp_path: Path) -> None:
    written = write_exports(tables_of(found.findings), audit_sections(found, AuditFacts("d", pictures=False)), tmp_path)
    tables, charts = (sum(len(getattr(one, name)) for one in found.findings) for name in ("tables", "charts"))
    assert min(tables, charts) > 2
    assert len(set(written)) == len(written) == 3 * tables + 2 * charts
    for suffix, count in ((".csv", tables), (".md", tables), (".tex", tables), (".svg", charts), (".pdf", charts)):
        files = [one for one in written if one.suffix == suffix]
        assert len(files) == count
        assert all(one.read_bytes().strip() for one in files)


def test_titles_that_make_one_name_of_a_file_are_files_of_their_own(tmp_path: Path) -> None:
    tables = {f"{'long ' * 30}{row}": Table.numbered({"class": [f"<{row}>"]}) for row in range(2)}
    chart = bar_chart([("before", 0.9)], alt="Accuracy")
    section = Section("accuracy", "Accuracy", chart + chart)
    written = write_exports(tables, [section], tmp_path)
    assert len(set(written)) == len(written) == 2 * 3 + 2 * 2
    assert [one.read_text("utf-8") for one in written if one.suffix == ".csv"] == ["class\n<0>\n", "class\n<1>\n"]
    assert {one.name for one in written if one.suffix == ".svg"} == {
        "accuracy-accuracy.svg", "accuracy-accuracy-2.svg"
    }  # fmt: skip


@pytest.fixture(scope="module")
def page(classifier: Classifier, found: Audit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("audit") / "report.html"
    write_report(classifier, (), out, sections=audit_sections(found, AuditFacts("d")), options=Options(leads=True))
    return out


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(375, "dark"), (1280, "light")])
def test_nothing_sticks_out_and_dark_is_dark(browser: Any, page: Path, width: int, scheme: str) -> None:
    with Shown(browser, page, width, color_scheme=scheme) as shown:
        shown.page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert shown.complaints == []
        assert shown.page.evaluate("document.documentElement.scrollWidth") <= width
        red = int(re.findall(r"\d+", shown.style("body", "backgroundColor"))[0])
        assert red < 60 if scheme == "dark" else red > 200


@pytest.mark.slow
def test_on_paper_tables_are_whole_and_the_lights_stand_on_the_first_sheet(browser: Any, page: Path) -> None:
    inside = 680  # A4 less 15 mm on both sides, at 96 dots per inch
    with Shown(browser, page, inside, color_scheme="dark") as shown:
        shown.page.emulate_media(media="print")
        shown.page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        ends = shown.page.evaluate(
            "[...document.querySelectorAll('.finding table')].map(one => one.getBoundingClientRect().right)"
        )
        assert len(ends) > 5
        assert max(ends) <= inside
        lights = shown.page.evaluate("document.querySelector('.lights').getBoundingClientRect().bottom")
        assert lights < 1009  # 297 mm less the margins
        assert shown.style(".finding", "breakInside") == "auto"
        assert shown.style(".light", "breakInside") == "avoid"
        assert shown.style("body", "backgroundColor") == "rgb(255, 255, 255)"
