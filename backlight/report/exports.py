"""The tables and figures of a page as files of their own: CSV, Markdown and LaTeX; SVG and PDF."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from backlight.core.files import write_bytes, write_text
from backlight.page.figures import charts_of, standalone, to_figure
from backlight.page.sections import Section
from backlight.table import Table
from backlight.table.text import WRITERS

if TYPE_CHECKING:
    from backlight.audit.finding import Columns, Finding

_NAME = re.compile(r"[^a-z0-9]+")
_LONGEST = 80
SUMMARY = "summary"
"""The name of the table with the numbers that a result comes down to."""


def write_exports(tables: Mapping[str, Table], sections: Iterable[Section], folder: Path) -> tuple[Path, ...]:
    """Write tables by name, and every chart of sections, and return the paths; what is there of the name is replaced.

    Ids that only number rows are left out.

    >>> import tempfile
    >>> table = Table.numbered({"class": ["cat"]})
    >>> [path.name for path in write_exports({"By class": table}, [], Path(tempfile.mkdtemp()))]
    ['by-class.csv', 'by-class.md', 'by-class.tex']
    """
    written: list[Path] = []
    names: set[str] = set()
    for title, table in tables.items():
        name = _own(file_name(title), names)
        for suffix, write in WRITERS.items():
            path = folder / f"{name}{suffix}"
            write_text(path, write(table, not table.is_numbered))
            written.append(path)
    for section in sections:
        for title, chart in charts_of(section.html):
            name = _own(file_name(f"{section.anchor} {title}"), names)
            written += _write_chart(chart, folder / name)
    return tuple(written)


def tables_of(findings: Iterable[Finding]) -> dict[str, Table]:
    """Return every table of findings, whole, named by the finding and the title.

    >>> from backlight.audit import Finding
    >>> found = Finding("dark", "health", 0.1, None, 9, "look", "So.", tables={"By class": {"class": ["cat"]}})
    >>> list(tables_of([found]))
    ['dark By class']
    """
    return {
        f"{found.name} {title}": _table_of(columns) for found in findings for title, columns in found.tables.items()
    }


def _table_of(columns: Columns) -> Table:
    ids = columns.get("id")
    if ids is not None and len(set(ids)) == len(ids):
        return Table.of(columns)
    return Table.numbered({"picture" if name == "id" else name: values for name, values in columns.items()})


def file_name(title: str) -> str:
    """Turn a title into a file's name without suffix.

    >>> file_name("Accuracy <by> class!")
    'accuracy-by-class'
    """
    return _NAME.sub("-", title.lower()).strip("-")[:_LONGEST].strip("-") or "figure"


def _own(name: str, names: set[str]) -> str:
    place = 1
    while (numbered := name if place == 1 else f"{name}-{place}") in names:
        place += 1
    names.add(numbered)
    return numbered


def _write_chart(chart: Markup, base: Path) -> Sequence[Path]:
    svg, pdf = (base.with_name(f"{base.name}{suffix}") for suffix in (".svg", ".pdf"))
    write_text(svg, standalone(chart))
    write_bytes(pdf, _pdf(to_figure(chart)))
    return svg, pdf


def _pdf(figure: Any) -> bytes:
    from matplotlib import rc_context

    pdf = BytesIO()
    with rc_context({"pdf.fonttype": 42}):  # printers of journals refuse matplotlib's own kind
        figure.savefig(pdf, format="pdf", metadata={"Creator": "Backlight", "CreationDate": None})
    return pdf.getvalue()
