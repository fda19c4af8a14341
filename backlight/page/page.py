"""From sections to one HTML document that needs nothing but itself."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from markupsafe import Markup

from backlight.core.errors import Failure
from backlight.core.files import write_text
from backlight.page.sections import Section, render, shown_path

# The first rule does not cover the last two.
_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{}'; base-uri 'none'; "
    "form-action 'none'"
)


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

    def html(self) -> str:
        """Assemble the document; a content security policy forbids whatever is not in it."""
        script, style = _asset("script.js"), _asset("style.css")
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        facts = {
            "page": self,
            "contents": _contents(self),
            "failed": [(shown_path(one.path), one.error) for one in self.failed],
            "script": Markup(script),
            "style": Markup(style),
            "policy": _POLICY.format(digest),
        }
        return str(render("page.html", facts))


def write_page(
    path: str | os.PathLike[str],
    sections: Sequence[Section],
    *,
    title: str,
    seconds: float,
    failed: Sequence[Failure] = (),
) -> None:
    """Write a page of sections alone, without a classifier's own, as a whole or not at all.

    Raises FileError where it cannot be written.

    >>> import tempfile
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp()) / "page.html"
    >>> write_page(path, [], title="Pictures", seconds=1.0)
    >>> "<title>Pictures</title>" in path.read_text("utf-8")
    True
    """
    write_text(path, Page("", None, (), tuple(sections), tuple(failed), 0, seconds, title).html())


def _contents(page: Page) -> Sequence[tuple[str, str]]:
    pictures = [(one.anchor, f"{place}. {one.title}") for place, one in enumerate(page.pictures, 1)]
    glance = [(page.glance.anchor, page.glance.title)] if page.glance else []
    skipped = [("skipped", "Skipped files")] if page.failed else []
    terms = [("terms", "Terms")] if page.model else []
    others = [(one.anchor, one.title) for one in page.others]
    return [*glance, *pictures, *others, *skipped, *terms]


def _asset(name: str) -> str:
    return files("backlight.page").joinpath("templates", name).read_text("utf-8")
