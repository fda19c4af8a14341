"""Every kind of page, with every name that a file, a command or a plug-in can bring as an attack on it.

Each page is made twice, with plain names and with hostile ones: both must have the same elements and attributes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from backlight import tasks
from backlight.core.escaping import visible
from tests.cli.hostile_names import controls
from tests.hostile.pages import FILE, PAGES, WORD, Setting, setting
from tests.hostile.plugged import PLUGGED, SPELLED
from tests.report.reading import Document

ROOT = Path(__file__).parents[2]
MAKERS = {name: make for name, (_, make) in (PAGES | PLUGGED).items()}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Setting, Setting]:
    folder = tmp_path_factory.mktemp("pages")
    return setting(folder / "plain", hostile=False), setting(folder / "hostile", hostile=True)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [*PAGES, *(pytest.param(kind, marks=pytest.mark.slow) for kind in PLUGGED)])
def test_names_make_no_element_and_no_attribute(kind: str, both: tuple[Setting, Setting]) -> None:
    plain, hostile = (sorted(pages_of(MAKERS[kind](at))) for at in both)
    assert len(plain) == len(hostile) > 0
    for one, other in zip(plain, hostile, strict=True):
        expected, found = (Document(path.read_text("utf-8")) for path in (one, other))
        same = set if kind in KEYED else list
        assert same(structure(found)) == same(structure(expected))
        assert_harmless(found, ("./",) if kind == "index" else ())  # which links the pages beside it
        assert controls(found.text) <= {"\t", "\u00ad"}
        assert any(visible(part) in found.text for part in (WORD, FILE, SPELLED)), "no name is on the page"
        assert len(found.all("script")) == 1


DRAWN = {"line", "text", "path", "rect", "circle", "g", "polyline", "polygon", "tspan"}
"""What charts are made of: as many ticks as their numbers need."""
KEYED = {"audit", "audit by plug-ins", "transfer", "transfer by a plug-in", "universal", "universal patch"}
"""Pages whose random numbers follow from the names of pictures: other names, other judgements and sentences."""


def pages_of(outcome: tasks.Outcome) -> Iterator[Path]:
    named = [one for one in outcome.files if one.suffix == ".html"]
    if isinstance(outcome.document, dict) and not named:
        named = [Path(outcome.document.get("html") or Path(outcome.document["run"]) / "report.html")]
    yield from named


def structure(page: Document) -> list[tuple[str, tuple[str, ...]]]:
    """List elements with the names of their attributes; what numbers draw may differ."""
    return [(tag, tuple(attributes)) for tag, attributes in page.elements if tag not in DRAWN]


def assert_harmless(page: Document, beside: tuple[str, ...] = ()) -> None:
    policy = next(one["content"] for one in page.all("meta") if one.get("http-equiv") == "Content-Security-Policy")
    for rule in ("default-src 'none'", "base-uri 'none'", "form-action 'none'"):
        assert rule in policy
    assert re.search(r"script-src 'sha256-[A-Za-z0-9+/=]+'(;|$)", policy)
    for tag, attributes in page.elements:
        assert tag not in ("base", "form", "iframe", "object", "embed", "foreignobject"), tag
        assert not [name for name in attributes if name.startswith("on")]
    for source in page.sources:
        assert source.startswith(("#", "data:", *beside)), source[:80]


def test_every_task_that_writes_a_page_is_asked() -> None:
    writes = re.compile(r"\b(write_page|write_report|result_folder|ResultFolder)\(")
    folder = ROOT / "backlight" / "tasks"
    writing = {path.stem for path in folder.glob("*.py") if writes.search(path.read_text("utf-8"))}
    # The page of an evaluation is a module of its own, and predictions are a table and a document.
    assert writing - {"result_folder", "evaluating", "predicting"} == {module for module, _ in PAGES.values()}


def test_every_kind_of_plug_in_is_asked() -> None:
    texts = [path.read_text("utf-8") for path in (ROOT / "backlight").rglob("*.py")]
    known = {name for text in texts for name in re.findall(r"^[A-Z_]+ = Registry\(\s*\"(\w+)\"", text, re.MULTILINE)}
    asked = {registry.plural for registries, _ in PLUGGED.values() for registry in registries}
    assert known - asked == {"evaluation_metrics"}  # which no page shows
    assert len(known) > 10
