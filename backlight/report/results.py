"""What a result comes down to, as files: its summary and its charts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from backlight.report.exports import SUMMARY, write_exports
from backlight.report.notebook import notebook_sections
from backlight.table import Table


class Summarized(Protocol):
    """A result whose numbers fit into a small table."""

    def summary_table(self) -> Table:
        """Return a row per number, with its interval."""
        ...


def export_result(result: Summarized, folder: str | os.PathLike[str]) -> tuple[Path, ...]:
    """Write the summary of a result as CSV, Markdown and LaTeX and its charts as SVG and PDF, and return the paths.

    The charts are those of the result's page. What is in `folder` of the same name is replaced. Raises FileError where
    it cannot be written.

    >>> import tempfile
    >>> from backlight.evaluate import Evaluation
    >>> columns = {"label": [0, 1], "prediction": [0, 0], "confidence": [0.9, 0.8], "logits": [[2.0, 0.0]] * 2}
    >>> found = Evaluation(Table.of(id=["a", "b"], loss=[0.1, 2.0], **columns), ("cat", "dog"))
    >>> [path.name for path in export_result(found, tempfile.mkdtemp())][:3]
    ['summary.csv', 'summary.md', 'summary.tex']
    """
    _, sections = notebook_sections(result)
    return write_exports({SUMMARY: result.summary_table()}, sections, Path(folder))
