"""What the page's script does to tables: long ones are sorted and filtered, wide ones say that they scroll."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from markupsafe import Markup

from backlight.page.page import write_page
from backlight.page.sections import Section, percent, term
from tests.page.browsing import keys, look_everywhere, shown

pytestmark = pytest.mark.slow
SHARES = [0.5, 0.0004, 1.0, 0.031, 0.99991, 0.25, 0.0, 0.75, 0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9, None]


def _table(shares: list[float | None], kind: str = "") -> Markup:
    row = '<tr><th scope="row">class {}</th><td>{:,}</td><td>{}</td></tr>'
    texts = ["-" if one is None else percent(one) for one in shares]
    rows = "".join(row.format(place, 1234 + place, text) for place, text in enumerate(texts))
    names = ("class", "pictures", term("accuracy"))
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    table = f'<table class="{kind}"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    return Markup(f'<div class="scroll">{table}</div>')


@pytest.fixture
def page(browser: Any, tmp_path: Path) -> Iterator[Any]:
    tables = [_table(SHARES), _table(SHARES[:4], "wide")]
    sections = [Section(f"table-{place}", "A table", one) for place, one in enumerate(tables)]
    write_page(tmp_path / "page.html", sections, title="Tables", seconds=1.0)
    with shown(browser, tmp_path / "page.html", 375) as (opened, complaints):
        yield opened
        assert complaints == []


def _column(page: Any, place: int) -> list[str]:
    script = "place => [...document.querySelectorAll('#table-0 tbody tr')].map(row => row.cells[place].textContent)"
    found: list[str] = page.evaluate(script, place)
    return found


def test_long_tables_are_sorted_by_number_both_ways_and_what_is_missing_stays_last(page: Any) -> None:
    button = page.get_by_role("button", name="Sort by accuracy")
    assert button.count() == 1
    button.focus()
    page.keyboard.press("Enter")
    known = [one for one in SHARES if one is not None]
    assert _column(page, 2) == [*map(percent, sorted(known, reverse=True)), "-"]
    assert page.locator("#table-0 th[aria-sort=descending]").count() == 1
    page.keyboard.press("Enter")
    assert _column(page, 2) == [*map(percent, sorted(known)), "-"]
    page.get_by_role("button", name="Sort by class").click()
    assert _column(page, 0) == [f"class {row}" for row in reversed(range(len(SHARES)))]
    assert page.locator("#table-0 th[aria-sort]").count() == 1


def test_long_tables_are_filtered_and_say_how_many_rows_are_left(page: Any) -> None:
    page.get_by_label("Filter").fill("CLASS 1")
    assert page.locator("#table-0 tbody tr:visible").count() == 8
    assert page.get_by_role("status").text_content() == f"8 of {len(SHARES)} rows"
    page.get_by_label("Filter").fill("")
    assert page.locator("#table-0 tbody tr:visible").count() == len(SHARES)


def test_short_tables_stay_as_they_are(page: Any) -> None:
    assert page.locator("#table-1 button, #table-1 input").count() == 0


# The driver's own way to wait compiles a text in the page, which the page's policy forbids.
UNTIL = """box => new Promise(done => {{
  const look = () => ({}) ? done() : requestAnimationFrame(look);
  look();
}})"""


def test_wide_tables_say_so_and_scroll_by_keys(page: Any) -> None:
    box = page.locator("#table-1 .scroll")
    assert box.get_attribute("aria-label") == "Table that scrolls: A table"
    assert "more columns" in page.evaluate(
        "getComputedStyle(document.querySelector('#table-1 .scroll'), '::before').content"
    )
    box.focus()
    page.keyboard.press("ArrowRight")
    box.evaluate(UNTIL.format("box.scrollLeft > 0"))
    page.set_viewport_size({"width": 1280, "height": 900})
    box.evaluate(UNTIL.format("!box.hasAttribute('tabindex')"))


def test_what_a_term_means_is_not_cut_off_by_a_table(page: Any) -> None:
    page.locator("#table-0 .term").focus()
    seen = """tip => {
      const box = tip.getBoundingClientRect();
      return tip.contains(document.elementFromPoint(box.left + box.width / 2, box.bottom - 5));
    }"""
    assert page.locator("#table-0 .tip").evaluate(seen)


def test_what_the_script_adds_is_accessible(page: Any) -> None:
    assert look_everywhere(page) == []
    page.emulate_media(media="screen")
    assert keys(page) == []


def test_a_table_of_many_columns_scrolls_and_does_not_widen_the_page(browser: Any, tmp_path: Path) -> None:
    cells = "".join(f"<th>miniature-{place}</th>" for place in range(40))
    table = Markup(f'<div class="scroll"><table class="matrix"><thead><tr>{cells}</tr></thead></table></div>')
    write_page(tmp_path / "page.html", [Section("wide", "A table", table)], title="Tables", seconds=1.0)
    with shown(browser, tmp_path / "page.html") as (page, complaints):
        assert look_everywhere(page) == []
        assert complaints == []


@pytest.mark.parametrize("kind", ["classes", "answers"])
def test_words_of_narrow_tables_are_not_broken(browser: Any, tmp_path: Path, kind: str) -> None:
    names = ("really", "mean confidence", "pictures", "of the class")
    head = "".join(f"<th>{name}</th>" for name in names)
    body = "<th>automobile</th><td>automobile</td><td>1</td><td>2</td>"
    table = f'<div class="scroll"><table class="{kind}"><thead><tr>{head}</tr></thead><tr>{body}</tr></table></div>'
    write_page(tmp_path / "page.html", [Section("one", "A table", Markup(table))], title="Tables", seconds=1.0)
    lines = """() => [...document.querySelectorAll("th, td")].map((cell) => {
      const all = document.createRange();
      all.selectNodeContents(cell);
      const tops = new Set([...all.getClientRects()].map((one) => one.top));
      return tops.size <= cell.textContent.split(" ").length;
    })"""
    with shown(browser, tmp_path / "page.html", 375) as (page, _):
        assert all(page.evaluate(lines))


def test_options_stay_whole_and_the_text_stays_what_it_was(browser: Any, tmp_path: Path) -> None:
    command = "backlight audit --train a-folder/--odd -v --set='--x' <b> --train-much-longer-than-that again and again"
    inside = Markup("<p>needs data of the field (--against)</p><svg><text>a --b</text></svg>")
    about = (("command", command),)
    write_page(tmp_path / "page.html", [Section("one", "A", inside)], title="A page", seconds=1.0, about=about)
    with shown(browser, tmp_path / "page.html", 375) as (page, complaints):
        options = page.locator(".option")
        assert options.all_text_contents() == ["--train", "--set", "--train-much-longer-than-that", "--against"]
        assert all(one.evaluate("one => one.getClientRects().length") == 1 for one in options.all())
        assert page.locator("dd code").text_content() == command
        assert page.locator("svg text").text_content() == "a --b"
        assert look_everywhere(page) == []
        assert complaints == []
