"""An index of a folder of results: every page and document in it, with what it is of and its headline number."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

from backlight.core.errors import FileError
from backlight.core.reading import read_json
from backlight.page.page import HEADLINE
from backlight.page.sections import Section, percent
from backlight.report.fill import fill

MOST_ENTRIES, _MOST_BYTES = 10_000, 2_000_000
_SIGN = "Made by Backlight"
_NUMBERS = {
    "robust_accuracy": "right under attack",
    "mean_accuracy": "right under corruptions",
    "val_accuracy": "right in validation",
    "accuracy": "right",
}


@dataclass(frozen=True)
class Entry:
    """One result: which verb made it of which model and data, when, its headline, and where page and document lie.

    >>> Entry("evaluate", "vit", "photos", "", "82% right", "a/report.html", "").verb
    'evaluate'
    """

    verb: str
    model: str
    data: str
    date: str
    headline: str
    page: str
    document: str
    title: str = ""

    def to_json(self) -> dict[str, object]:
        """Return the fields, None for what is not known."""
        return {name: value or None for name, value in vars(self).items()}


def find_results(folder: Path, but: Iterable[Path] = ()) -> list[Entry]:
    """List the results below a folder in the order of their paths: pages, with the document beside, and documents.

    Hidden files and folders, links, files of other programs, and `but` are passed over.

    >>> import tempfile
    >>> find_results(Path(tempfile.mkdtemp()))
    []
    """
    without, pages, documents = set(but), dict[Path, Entry](), dict[Path, Entry]()
    for path in _files(folder):
        if len(pages) + len(documents) == MOST_ENTRIES:
            break
        name = path.relative_to(folder).as_posix()
        if path in without:
            continue
        if path.suffix == ".html" and (page := _read_page(path, name)) is not None:
            pages[path] = page
        elif path.suffix == ".json" and (document := _read_document(path, name)) is not None:
            documents[path] = document
    for path, document in documents.items():
        beside = [one for one in pages if one.parent == path.parent]
        if len(beside) == 1 and not pages[beside[0]].document:
            pages[beside[0]] = _joined(pages[beside[0]], document)
        else:
            pages[path] = document
    return [pages[path] for path in sorted(pages)]


def index_section(entries: Iterable[Entry]) -> Section:
    """Write the section that links every result.

    >>> "./a%3Ab.html" in index_section([Entry("fool", "<b>", "", "", "", "a:b.html", "")]).html
    True
    """
    rows = [(one, _link(one.page), _link(one.document)) for one in entries]
    return Section("results", "Results", fill("index.html", {"rows": rows}))


def _link(name: str) -> str:
    # Quoted with its colons, so that no file's name can be read as another scheme.
    return f"./{quote(name, errors='surrogateescape')}" if name else ""


def _files(folder: Path) -> Iterator[Path]:
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        for name in sorted(names):
            path = Path(where, name)
            if not name.startswith(".") and path.is_file() and not path.is_symlink():
                yield path


def _joined(page: Entry, document: Entry) -> Entry:
    known = {name: value for name, value in vars(document).items() if value and not getattr(page, name)}
    return replace(page, **known)


def _read_document(path: Path, name: str) -> Entry | None:
    try:
        found: Any = read_json(path)
    except FileError:  # somebody else's, or half of one: this is a list of what can be read
        return None
    model = found.get("model") if isinstance(found, dict) else None
    if not isinstance(model, dict) or not isinstance(model.get("name"), str):
        return None
    data = found.get("data")
    named = data.get("name") if isinstance(data, dict) else None
    known = (f"{percent(found[key])} {words}" for key, words in _NUMBERS.items() if _is_share(found.get(key)))
    headline = next(known, "")
    return Entry(path.stem, model["name"], named if isinstance(named, str) else "", "", headline, "", name)


def _is_share(value: object) -> bool:
    return isinstance(value, float | int) and not isinstance(value, bool) and 0 <= value <= 1


def _read_page(path: Path, name: str) -> Entry | None:
    try:
        with path.open("rb") as opened:
            start = opened.read(_MOST_BYTES).decode("utf-8", "replace")
            opened.seek(max(0, path.stat().st_size - 100_000))
            if _SIGN not in opened.read().decode("utf-8", "replace"):
                return None
    except OSError:
        return None
    head = _Head()
    head.feed(start)
    facts = head.facts
    words = facts.get("command", "").split()
    verb = words[1] if len(words) > 1 and words[0] == "backlight" else ""
    model, data, date = (facts.get(key, "") for key in ("model", "pictures", "date"))
    return Entry(verb, model, data.split(", ")[0], date, head.headline, name, "", " ".join(head.title.split()))


class _Head(HTMLParser):
    """Read what stands above a page's sections: its title, what it is about, and its headline."""

    def __init__(self) -> None:
        super().__init__()
        self.title, self.headline, self.facts = "", "", dict[str, str]()
        self.inside, self.name, self.about = "", "", False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "meta" and found.get("name") == HEADLINE:
            self.headline = found.get("content", "")
        if tag == "dl" and not self.facts:
            self.about = "about" in found.get("class", "").split()
        if tag in ("h1", "dt", "dd"):
            self.inside = tag
            self.name = "" if tag == "dt" else self.name

    def handle_endtag(self, tag: str) -> None:
        self.inside = "" if tag == self.inside else self.inside
        self.about = self.about and tag != "dl"

    def handle_data(self, data: str) -> None:
        if self.inside == "h1" and not self.facts:
            self.title += data
        elif self.inside == "dt" and self.about:
            self.name += data
        elif self.inside == "dd" and self.about and self.name:
            self.facts[self.name] = self.facts.get(self.name, "") + data
