"""One page and one sheet about all pictures of a command, written anew as more of them are finished."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from PIL import Image

from backlight.core.errors import Failure
from backlight.core.files import require_new
from backlight.images import write_png
from backlight.page.page import write_page
from backlight.page.sections import Section
from backlight.report.attacked import MOST_SHOWN

Shown = TypeVar("Shown")


@dataclass(eq=False)
class JointPage(Generic[Shown]):
    """A page and a sheet of at most `MOST_SHOWN` pictures; `section` and `draw` say how they look.

    `headline` stands for the pictures shown in an index of many pages.

    >>> import tempfile
    >>> page = JointPage(Path(tempfile.mkdtemp()) / "cat-pgd", "Cats", (), lambda one, place: one, Image.new, str)
    >>> page.html.name, page.sheet.name
    ('cat-pgd.html', 'cat-pgd-sheet.png')
    """

    base: Path
    title: str
    about: tuple[tuple[str, str], ...]
    section: Callable[[Shown, int], Section]
    draw: Callable[[Sequence[Shown]], Image.Image]
    headline: Callable[[Sequence[Shown]], str]
    shown: list[Shown] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
    left_out: int = 0
    began: float = field(default_factory=time.perf_counter)

    @property
    def html(self) -> Path:
        """Return the page."""
        return self.base.with_name(f"{self.base.name}.html")

    @property
    def sheet(self) -> Path:
        """Return the contact sheet."""
        return self.base.with_name(f"{self.base.name}-sheet.png")

    @property
    def exports(self) -> Path:
        """Return the folder of tables about all pictures."""
        return exports_of(self.html)

    @property
    def files(self) -> tuple[Path, ...]:
        """Return what was written: nothing where no picture could be shown."""
        return (self.html, self.sheet) if self.shown else ()

    def require_new(self, force: bool) -> None:
        """Raise UsageError where one of them is there already and `force` is not given."""
        for path in (self.html, self.sheet, self.exports):
            require_new(path, force)

    def add(self, one: Shown) -> None:
        """Show one more picture, as long as there is room."""
        if len(self.shown) == MOST_SHOWN:
            self.left_out += 1
            return
        self.shown.append(one)
        self.sections.append(self.section(one, len(self.shown)))

    def write(self, failed: Sequence[Failure] = ()) -> None:
        """Write both, as they are now."""
        if not self.shown:
            return
        about = list(self.about)
        if self.left_out:
            shown = f"the first {len(self.shown)} of {len(self.shown) + self.left_out}; every file is in the folder"
            about.append(("pictures", shown))
        named = [Failure(Path(one.path).name, one.error) for one in failed]
        seconds = time.perf_counter() - self.began
        write_page(
            self.html,
            self.sections,
            title=self.title,
            seconds=seconds,
            about=about,
            failed=named,
            headline=self.headline(self.shown),
        )
        write_png(self.sheet, self.draw(self.shown))


def exports_of(html: Path) -> Path:
    """Name the folder of tables that belongs to a page.

    >>> exports_of(Path("out/cat-pgd.html")).name
    'cat-pgd-tables'
    """
    return html.with_name(f"{html.stem}-tables")


def joint_stem(stems: Sequence[str]) -> str:
    """Name what belongs to several pictures by the first and by how many there are.

    >>> joint_stem(["cat"]), joint_stem(["cat", "dog", "fox"])
    ('cat', 'cat-and-2-more')
    """
    return stems[0] if len(stems) == 1 else f"{stems[0]}-and-{len(stems) - 1}-more"
