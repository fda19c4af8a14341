"""A table as text for other programs and for papers: CSV, Markdown, LaTeX, HTML; everything escaped."""

from __future__ import annotations

import csv
import html
import io
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backlight.table.table import Table

LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{character: "\\" + character for character in "&%$#_{}"},
}


def to_csv(table: Table, ids: bool = True) -> str:
    """Write every value exactly; lists become JSON, missing values stay empty; without `ids` no column `id`.

    >>> from backlight.table import Table
    >>> to_csv(Table.of(id=["a,b"], x=[0.5], logits=[[1.0, 2.0]])).splitlines()
    ['id,x,logits', '"a,b",0.5,"[1.0, 2.0]"']
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = _names(table, ids)
    writer.writerow(names)
    for row in table.rows():
        values = (row[name] for name in names)
        writer.writerow([json.dumps(v) if isinstance(v, list) else "" if v is None else v for v in values])
    return text.getvalue()


def to_markdown(table: Table, ids: bool = True) -> str:
    """Write a Markdown table; numbers are right-aligned with four significant digits; without `ids` no column `id`.

    >>> from backlight.table import Table
    >>> print(to_markdown(Table.of(id=["a|b"], x=[0.123456])))
    | id | x |
    | --- | ---: |
    | a\\|b | 0.1235 |
    """
    names = _names(table, ids)
    rule = ["---:" if numeric else "---" for numeric in _numeric(table, names)]
    rows = [names, *_cells(table, names)]
    lines = ["| " + " | ".join(markdown_cell(cell) for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "| " + " | ".join(rule) + " |", *lines[1:]]) + "\n"


def to_latex(table: Table, ids: bool = True) -> str:
    r"""Write a LaTeX tabular with every special character escaped; without `ids` no column `id`.

    >>> from backlight.table import Table
    >>> print(to_latex(Table.of(id=["50%_a"], x=[2])))
    \begin{tabular}{lr}
    \hline
    id & x \\
    \hline
    50\%\_a & 2 \\
    \hline
    \end{tabular}
    """
    names = _names(table, ids)
    columns = "".join("r" if numeric else "l" for numeric in _numeric(table, names))
    head, *body = [" & ".join(_latex(cell) for cell in row) + r" \\" for row in [names, *_cells(table, names)]]
    lines = [rf"\begin{{tabular}}{{{columns}}}", r"\hline", head, r"\hline", *body, r"\hline"]
    return "\n".join([*lines, r"\end{tabular}"]) + "\n"


def to_html(table: Table) -> str:
    """Write an HTML table with every cell escaped.

    >>> from backlight.table import Table
    >>> "&lt;script&gt;" in to_html(Table.of(id=["<script>"]))
    True
    """
    head = "".join(f"<th>{html.escape(name)}</th>" for name in table.names)
    rows = ["".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in _cells(table, table.names)]
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _names(table: Table, ids: bool) -> list[str]:
    return [name for name in table.names if ids or name != "id"]


def _cells(table: Table, names: list[str]) -> list[list[str]]:
    return [[_short(row[name]) for name in names] for row in table.rows()]


def _short(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return " ".join(_short(item) for item in value)
    return str(value)


def _numeric(table: Table, names: list[str]) -> list[bool]:
    import pyarrow.types as types

    kinds = [table.arrow.schema.field(name).type for name in names]
    return [types.is_integer(kind) or types.is_floating(kind) for kind in kinds]


def markdown_cell(cell: str) -> str:
    """Escape a text for a cell of a Markdown table: markup, HTML, the bar, and line breaks, which become spaces.

    >>> markdown_cell("a|b\\n`c` <d>")
    'a\\\\|b \\\\`c\\\\` &lt;d&gt;'
    """
    escaped = "".join("\\" + character if character in "\\|`*_[]" else character for character in cell)
    return " ".join(html.escape(escaped, quote=False).split())


def _latex(cell: str) -> str:
    return " ".join("".join(LATEX.get(character, character) for character in cell).split())


WRITERS: dict[str, Callable[[Table, bool], str]] = {".csv": to_csv, ".md": to_markdown, ".tex": to_latex}
