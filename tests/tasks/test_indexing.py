"""The index of results: every page and document once, what is no result not at all, hostile names as text."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from markupsafe import Markup

from backlight.core.errors import FileError, UsageError
from backlight.page.page import write_page
from backlight.page.sections import Section
from backlight.report.index import find_results
from backlight.tasks import IndexRequest, index
from tests.report.reading import read

SCRIPT = "<script>alert(1)</script>"


def _page(path: Path, title: str = "A page", headline: str = "", **about: str) -> None:
    facts = [(name.replace("_", " "), words) for name, words in about.items()]
    section = Section("s", "S", Markup("<h1>not the title</h1><dl><dt>model</dt><dd>not the model</dd></dl>"))
    write_page(path, [section], title=title, seconds=1.0, about=facts, headline=headline)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    _page(tmp_path / "a" / "report.html", "How good", "82% right", model="vit", pictures="photos (test), 9 pictures",
          date="2026-11-29", command="backlight evaluate --data photos")  # fmt: skip
    _page(tmp_path / "b" / "report.html", "Under attack", model="vit")
    document = {"model": {"name": "vit"}, "data": {"name": "photos"}, "robust_accuracy": 0.25, "accuracy": 0.5}
    (tmp_path / "b" / "robustness.json").write_text(json.dumps(document))
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "audit.json").write_text(json.dumps({"model": {"name": SCRIPT}, "data": None}))
    (tmp_path / "c" / "package.json").write_text(json.dumps({"name": "other"}))
    (tmp_path / "c" / "broken.json").write_text('{"model": ')
    (tmp_path / "c" / "deep.json").write_text("[" * 100_000)
    (tmp_path / "c" / "other.html").write_text("<h1>somebody else's</h1>")
    (tmp_path / ".hidden").mkdir()
    _page(tmp_path / ".hidden" / "report.html")
    os.symlink(tmp_path / "a" / "report.html", tmp_path / "link.html")
    return tmp_path


def test_every_result_is_listed_once(folder: Path) -> None:
    found = index(IndexRequest(folder)).result
    assert [(one.page, one.document) for one in found] == [
        ("a/report.html", ""),
        ("b/report.html", "b/robustness.json"),
        ("", "c/audit.json"),
    ]
    first, second, third = found
    assert (first.verb, first.model, first.data, first.date) == ("evaluate", "vit", "photos (test)", "2026-11-29")
    assert (first.title, first.headline) == ("How good", "82% right")
    assert (second.verb, second.model, second.headline) == ("robustness", "vit", "25% right under attack")
    assert (third.verb, third.model) == ("audit", SCRIPT)


def test_the_page_links_what_is_there_and_escapes_the_rest(folder: Path) -> None:
    _page(folder / "javascript:alert(1).html", SCRIPT, SCRIPT, model=SCRIPT)
    outcome = index(IndexRequest(folder, command="backlight report --index ."))
    page = read(folder / "index.html")
    links = [one["href"] for one in page.all("a") if not one["href"].startswith("#")]
    assert "./a/report.html" in links
    assert "./javascript%3Aalert%281%29.html" in links
    assert all(one.startswith("./") for one in links)
    assert len(page.all("script")) == 1
    assert page.text.count(SCRIPT) >= 3
    assert outcome.document["results"][0]["headline"] == "82% right"


def test_it_does_not_list_itself_and_is_not_overwritten(folder: Path) -> None:
    before = len(index(IndexRequest(folder)).result)
    with pytest.raises(UsageError):
        index(IndexRequest(folder))
    assert len(index(IndexRequest(folder, force=True)).result) == before


def test_a_folder_that_is_none_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="is not a folder"):
        index(IndexRequest(tmp_path / "none"))
    assert find_results(tmp_path) == []
