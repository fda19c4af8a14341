"""Read a report as a machine does: every tag, and the pictures that it holds."""

from __future__ import annotations

import base64
import io
from html.parser import HTMLParser
from pathlib import Path

from PIL import Image

VOID = {"meta", "link", "img", "input", "br", "hr"}


class Document(HTMLParser):
    """Hold every element with its attributes; a tag that is not closed where it should be raises."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("script", "style"):
            self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def ids(self) -> list[str]:
        return [attributes["id"] for _, attributes in self.elements if "id" in attributes]

    @property
    def sources(self) -> list[str]:
        """List everything that a browser would load."""
        names = ("src", "href", "srcset", "data", "action", "poster")
        return [attributes[name] for _, attributes in self.elements for name in names if name in attributes]


def read(path: Path) -> Document:
    return Document(path.read_text("utf-8"))


def stored(document: Document, name: str) -> Image.Image:
    """Decode a picture that the page stores under an id."""
    uri = next(attributes["href"] for attributes in document.all("image") if attributes["id"] == name)
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
