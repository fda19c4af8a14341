"""One self-contained HTML page: what a classifier sees, why, and how easily it is fooled.

writing      the one call: pictures and data in, a page on disk that grows as pictures are finished
study        everything that is measured about one picture; attacks, agreement: its parts
picture, model, data   sections of the page, each a function of data
sections     what a section is, and the registry of sections that are functions of a table
page         sections -> one HTML document; templates/ holds the markup, embed the pictures, glossary the terms
exports      tables and charts of a page as files; results: those of a result, in Python
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from backlight.core.faces import call_room, lazy_names

if TYPE_CHECKING:
    from backlight.images.samples import sample_pictures
    from backlight.report.results import export_result
    from backlight.report.writing import Options, Report, write_report

_HOMES = {
    "Options": "backlight.report.writing",
    "Report": "backlight.report.writing",
    "export_result": "backlight.report.results",
    "sample_pictures": "backlight.images.samples",
    "write_report": "backlight.report.writing",
}

__all__ = ["Options", "Report", "export_result", "sample_pictures", "write_report"]

__getattr__ = lazy_names(__name__, _HOMES)
call_room(__name__, "write_report")
