"""The tables and figures of an audit as files of their own: CSV, Markdown, LaTeX, SVG."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from backlight.audit.finding import Columns, Finding
from backlight.core.files import write_text
from backlight.page.charts import standalone
from backlight.table import Table
from backlight.table.text import WRITERS

_NAME = re.compile(r"[^a-z0-9]+")
_LONGEST = 80


def write_exports(findings: Iterable[Finding], folder: Path) -> tuple[Path, ...]:
    """Write every table of findings as CSV, Markdown and LaTeX and every chart as SVG, and return the paths.

    Files are named by the finding and the title; what is there of the same name is replaced.

    >>> import tempfile
    >>> found = Finding("dark", "health", 0.1, None, 9, "look", "So.", tables={"By class": {"class": ["cat"]}})
    >>> [path.name for path in write_exports([found], Path(tempfile.mkdtemp()))]
    ['dark-by-class.csv', 'dark-by-class.md', 'dark-by-class.tex']
    """
    written: list[Path] = []
    for found in findings:
        for title, columns in found.tables.items():
            table = table_of(columns)
            written += [table.write(folder / f"{_named(found, title)}{suffix}") for suffix in WRITERS]
        for title, chart in found.charts.items():
            path = folder / f"{_named(found, title)}.svg"
            write_text(path, standalone(chart))
            written.append(path)
    return tuple(written)


def table_of(columns: Columns) -> Table:
    """Make a table of a finding's columns; where no column `id` tells rows apart they are numbered.

    >>> table_of({"class": ["cat", "dog"]}).ids
    ['1', '2']
    """
    ids = columns.get("id")
    count = len(next(iter(columns.values()), ()))
    named = dict(columns) if ids is not None and len(set(ids)) == count else {"id": range(1, count + 1), **columns}
    return Table.of(named)


def _named(found: Finding, title: str) -> str:
    return _NAME.sub("-", f"{found.name} {title}".lower()).strip("-")[:_LONGEST]
