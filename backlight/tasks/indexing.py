"""The index of a folder of results: one page that links all others."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from backlight.core.errors import FileError, counted
from backlight.core.files import require_new
from backlight.core.progress import Progress
from backlight.page.page import write_page
from backlight.report.about import about
from backlight.report.index import find_results, index_section
from backlight.tasks.outcome import Outcome, plain_json


@dataclass(frozen=True)
class IndexRequest:
    """Which folder's results are listed; the page goes into it as `index.html`.

    >>> IndexRequest(Path("results")).page.name
    'index.html'
    """

    folder: Path
    force: bool = False
    command: str = ""

    @property
    def page(self) -> Path:
        """Return where the page goes."""
        return self.folder / "index.html"


def index(request: IndexRequest, *, progress: Progress | None = None) -> Outcome:
    """Link every page and document of results below a folder, with verb, model, data, date and headline number.

    The result is a list of `Entry`. Raises FileError where there is no such folder, UsageError where it has an index
    already.

    >>> import tempfile
    >>> index(IndexRequest(Path(tempfile.mkdtemp()))).document["results"]
    []
    """
    start = time.perf_counter()
    if not request.folder.is_dir():
        raise FileError(request.folder, "is not a folder", expected="a folder of results")
    page = require_new(request.page, request.force)
    entries = find_results(request.folder, but=(page,))
    title, facts = f"Results in {request.folder.resolve().name}", about(command=request.command)
    seconds = time.perf_counter() - start
    write_page(page, [index_section(entries)], title=title, seconds=seconds, about=facts)
    document = plain_json({"html": page, "results": [one.to_json() for one in entries]})
    return Outcome(document, (f"{counted(len(entries), 'result')}", str(page)), (page,), result=entries)
