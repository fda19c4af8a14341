"""The verbs `data inspect` and `data convert`: what a data set holds, and the same in another form."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from backlight.core.errors import counted
from backlight.core.locks import held_folder
from backlight.core.progress import Progress
from backlight.corrupt.converted import corrupted, parse_corruption
from backlight.data import load_splits
from backlight.data.convert import convert_data as convert_splits
from backlight.data.inspect import Inspection, contact_sheet
from backlight.data.inspect import inspect_data as inspect_splits
from backlight.images import Resize, write_png
from backlight.page.page import write_page
from backlight.report.about import about
from backlight.report.inspection import inspection_headline, inspection_sections
from backlight.tasks.loading import data_facts
from backlight.tasks.outcome import Outcome, plain_json

_SHOWN = 10
_SHEET, _PAGE = "contact-sheet.png", "inspection.html"


@dataclass(frozen=True)
class InspectDataRequest:
    """Which data set is looked at; a page and a contact sheet of it go into `out`.

    >>> InspectDataRequest("photos/").force
    False
    """

    data: str
    out: Path = Path("backlight-out")
    force: bool = False
    follow_links: bool = False


def inspect_data(request: InspectDataRequest, *, progress: Progress | None = None) -> Outcome:
    """Look at a data set: class counts, sizes, broken files, duplicates within and across parts, a sheet per class.

    A page and a contact sheet go into `out`; what is there already stays as it is without `force`, and the numbers are
    told all the same. The result is an `Inspection`. Raises as `load_splits` does.

    >>> import tempfile
    >>> out = Path(tempfile.mkdtemp())
    >>> [path.name for path in inspect_data(InspectDataRequest("shapes:n=20,size=16,classes=2", out)).files]
    ['contact-sheet.png', 'inspection.html']
    """
    start = time.perf_counter()
    splits = load_splits(request.data, follow_links=request.follow_links)
    found = inspect_splits(splits, progress)
    sheet, page = request.out / _SHEET, request.out / _PAGE
    kept = _kept(request, sheet, page)
    with nullcontext() if len(kept) == 2 else held_folder(request.out):
        kept = _kept(request, sheet, page)
        if sheet not in kept and len(found.table):
            write_png(sheet, contact_sheet(splits.whole))
        if page not in kept:
            title = f"What {splits.whole.name.rsplit('/', 1)[-1]} holds"
            sections = inspection_sections(found, splits)
            write_page(
                page,
                sections,
                title=title,
                seconds=time.perf_counter() - start,
                about=about(data=data_facts(splits.whole)),
                headline=inspection_headline(found),
            )
    files = tuple(path for path in (sheet, page) if path not in kept and path.exists())
    told = {"warnings": found.warnings(), "contact_sheet": sheet, "html": page}
    return Outcome(
        plain_json(found.as_dict() | told),
        tuple(_lines(found, files)),
        files,
        found.failed,
        (*splits.whole.notes, *(f"{path} exists already and stays as it is; --force replaces it" for path in kept)),
        result=found,
    )


def _kept(request: InspectDataRequest, *files: Path) -> list[Path]:
    return [path for path in files if os.path.lexists(path) and not request.force]


@dataclass(frozen=True)
class ConvertDataRequest:
    """Which data set is written in which form: FILE.npz, FILE.parquet, or a new folder; scaled to `size` or as it is.

    `corruption` is what `parse_corruption` reads, keyed by `seed`.

    >>> ConvertDataRequest("photos/", Path("photos.npz")).size is None
    True
    """

    data: str
    target: Path
    size: tuple[int, int] | None = None
    force: bool = False
    corruption: str | None = None
    seed: int = 0
    follow_links: bool = False


def convert_data(request: ConvertDataRequest, *, progress: Progress | None = None) -> Outcome:
    """Write a data set in another form, with the same labels, pixels and parts; in a folder ids become paths.

    Raises as `load_splits` and `backlight.data.convert.convert_data` do.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "shapes.npz"
    >>> convert_data(ConvertDataRequest("shapes:n=20,size=16,classes=2", target)).document["pictures"]
    20
    """
    resize = Resize(None, request.size) if request.size else None
    splits = load_splits(request.data, resize=resize, follow_links=request.follow_links)
    if request.corruption:
        card, severity = parse_corruption(request.corruption)
        splits = splits.mapped(lambda part: corrupted(part, card, severity, seed=request.seed))
    failed = convert_splits(splits, request.target, force=request.force, progress=progress)
    written = len(splits.whole) - sum(one not in splits.whole.failed for one in failed)
    document = plain_json({"target": request.target, "pictures": written, "failed": len(failed)})
    line = f"{request.target}: {counted(written, 'picture')}"
    return Outcome(document, (line,), (request.target,), tuple(failed))


def _lines(found: Inspection, files: Iterable[Path]) -> Iterator[str]:
    yield found.name
    for part, counts in found.counts.items():
        yield f"  {part}: {counted(sum(counts.values()), 'picture')}, {counted(len(counts), 'class')}"
        for name, count in list(counts.items())[:_SHOWN]:
            yield f"    {count:6d}  {name}"
        if len(counts) > _SHOWN:
            yield f"    and {len(counts) - _SHOWN} more"
    sizes = ", ".join(f"{height} x {width} ({count})" for (height, width), count in list(found.sizes.items())[:5])
    yield f"  sizes (height x width): {sizes}" + (f" and {len(found.sizes) - 5} more" if len(found.sizes) > 5 else "")
    exact = sum(group.exact for group in found.duplicates)
    near = len(found.duplicates) - exact
    yield f"  duplicates: {counted(exact, 'group')} of equal pictures, {near} of nearly equal ones"
    yield from (f"  warning: {warning}" for warning in found.warnings())
    yield from (f"  {path}" for path in files)
