"""From sections to one HTML document that needs nothing but itself."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from markupsafe import Markup

from backlight.core.errors import Failure
from backlight.core.files import write_text
from backlight.page.glossary import GLOSSARY
from backlight.page.sections import Section, render

# The first rule does not cover the last two.
_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{}'; base-uri 'none'; "
    "form-action 'none'"
)


HEADLINE = "backlight-headline"
"""The name of the `meta` element that holds a page's headline."""


@dataclass(frozen=True)
class Page:
    """Everything on a page: a glance, pictures, other sections, what failed, what is still missing.

    `left` counts the pictures that were asked for and are not finished yet.

    >>> "<!doctype html>" in Page("toy", None, (), (), (), 0, 0.0).html()
    True
    """

    model: str
    glance: Section | None
    pictures: tuple[Section, ...]
    others: tuple[Section, ...]
    failed: tuple[Failure, ...]
    left: int
    seconds: float | None
    title: str = ""
    """What stands above it all; left out for what a page about a classifier says."""
    about: tuple[tuple[str, str], ...] = ()
    """What was done to what, and when: names with words, below the title."""
    lead: Section | None = None
    """What comes before all that: the answer, for a page that has one."""
    headline: str = ""
    """The one number or sentence that stands for the page in an index of many."""

    def html(self) -> str:
        """Assemble the document; a content security policy forbids whatever is not in it."""
        script, style, terms = _asset("script.js"), _asset("style.css"), _terms(self)
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        facts = {
            "page": self,
            "contents": _contents(self, terms),
            "terms": terms,
            "failed": [(one.path, one.error) for one in self.failed],
            "script": Markup(script),
            "style": Markup(style),
            "headline": HEADLINE,
            "policy": _POLICY.format(digest),
        }
        return str(render("page.html", facts))


def write_page(
    path: str | os.PathLike[str],
    sections: Sequence[Section],
    *,
    title: str,
    seconds: float,
    about: Sequence[tuple[str, str]] = (),
    failed: Sequence[Failure] = (),
    headline: str = "",
) -> None:
    """Write a page of sections alone, without a classifier's own, as a whole or not at all; `about` says of what.

    Raises FileError where it cannot be written.

    >>> import tempfile
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp()) / "page.html"
    >>> write_page(path, [], title="Pictures", seconds=1.0)
    >>> "<title>Pictures</title>" in path.read_text("utf-8")
    True
    """
    page = Page("", None, (), tuple(sections), tuple(failed), 0, seconds, title, tuple(about), headline=headline)
    write_text(path, page.html())


def _terms(page: Page) -> dict[str, str]:
    """List the terms that the page's sections explain, in the glossary's order."""
    sections = [*page.pictures, *page.others, *(one for one in (page.lead, page.glance) if one)]
    used = {name for section in sections for name in re.findall(r'data-term="([^"]+)"', section.html)}
    if page.model:
        used.add("classifier")
    return {name: text for name, text in GLOSSARY.items() if name in used}


def _contents(page: Page, terms: Mapping[str, str]) -> Sequence[tuple[str, str]]:
    pictures = [(one.anchor, f"{place}. {one.title}") for place, one in enumerate(page.pictures, 1)]
    glance = [(page.glance.anchor, page.glance.title)] if page.glance else []
    skipped = [("skipped", "Skipped files")] if page.failed else []
    others = [(one.anchor, one.title) for one in page.others]
    lead = [(page.lead.anchor, page.lead.title)] if page.lead else []
    return [*lead, *glance, *pictures, *others, *skipped, *([("terms", "Terms")] if terms else [])]


def _asset(name: str) -> str:
    return files("backlight.page").joinpath("templates", name).read_text("utf-8")
