"""Tables in text files, as people keep them beside pictures: columns by name, any of the usual separators."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from backlight.core.errors import FileError
from backlight.core.reading import read_names

PATHS = ("path", "file", "filename", "image", "image_id", "id") + (
    *("file_name", "filepath", "file_path", "image_path", "image_name", "image_file", "img", "picture"),
)
LABELS = ("label", "class", "target", "category", "labels", "classes", "targets", "categories", "tags") + (
    *("class_name", "label_name", "y"),
)
SEVERAL = ("labels", "classes", "targets", "categories", "tags")  # columns that promise more than one label
SPLITS = ("split", "part", "subset", "fold")
_SEPARATORS = ("\t", ",", ";")
_LOOKED_AT = 50  # rows by which the separator is found


@dataclass(frozen=True)
class Columns:
    """Hold the rows of a text file with their line numbers, and the names of its columns, none where it has no header.

    >>> Columns(Path("a.csv"), ("Image ID", "label"), (("a", "cat"),), (2,)).place(PATHS)
    0
    """

    path: Path
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]

    def place(self, names: Collection[str]) -> int | None:
        """Return the first column that has one of some names, without case, or None.

        An earlier one of `names` wins over a later one.
        """
        known = [plain(name) for name in self.header]
        return next((known.index(name) for name in names if name in known), None)

    def places(self, names: Collection[str]) -> list[int]:
        """Return all columns that have one of some names, which may be numbered as in `label_2`."""
        return [place for place, name in enumerate(self.header) if re.sub(r"_?\d+$", "", plain(name)) in names]


def plain(name: str) -> str:
    """Return the name of a column without case, blanks and hyphens.

    >>> plain(" Image-ID")
    'image_id'
    """
    return re.sub(r"[\s-]+", "_", name.strip().casefold())


def read_columns(path: Path, is_picture: Callable[[str], bool] = lambda name: False) -> Columns:
    """Read a text file of rows with a tab, a comma, a semicolon or, at last, a blank between its columns.

    Empty rows and those that begin with # are left out. The first row names the columns where one of them is a usual
    name for paths (see `PATHS`), unless `is_picture` says that it is the path of a picture.

    Cells may hold names that are no UTF-8, as `os.fsdecode` has them. Raises FileError for files that are no text, no
    regular file or too large.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.csv"
    >>> _ = path.write_text("id;breed\\n000;pug\\n")
    >>> read_columns(path).header, read_columns(path).rows
    (('id', 'breed'), (('000', 'pug'),))
    """
    text = read_names(path, expected="rows of text, such as 'path label'")
    separator = _separator(text)
    try:
        split = _split_blanks(text) if separator is None else _split(text, separator)
        found = [(line, row) for line, row in split if any(row) and not row[0].startswith("#")]
    except csv.Error as error:
        raise FileError(path, f"cannot be read ({error})", expected="rows of text, such as 'path,label'") from None
    header: tuple[str, ...] = ()
    if found and _is_header(found[0][1], is_picture):
        header = found.pop(0)[1]
    return Columns(path, header, tuple(row for _, row in found), tuple(line for line, _ in found))


def _is_header(row: tuple[str, ...], is_picture: Callable[[str], bool]) -> bool:
    named = [cell for cell in row if plain(cell) in PATHS]
    return bool(named) and not is_picture(named[0])


def _split(text: str, separator: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    for row in reader:
        yield reader.line_num, tuple(cell.strip() for cell in row)


def _split_blanks(text: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    for number, line in enumerate(text.splitlines(), 1):
        yield number, tuple(line.strip().rsplit(None, 1))


def _separator(text: str) -> str | None:
    """Choose what splits the most of the first rows into equally many columns, two or more; None where nothing does."""
    lines = [line for line in text[: 2**16].splitlines() if line.strip() and not line.lstrip().startswith("#")]
    looked_at = "\n".join(lines[:_LOOKED_AT])

    def agreement(separator: str) -> tuple[int, int]:
        """Count the rows that agree, and all: a quoted name of several lines is in one row."""
        try:
            widths = [len(row) for _, row in _split(looked_at, separator) if row]
        except csv.Error:
            return 0, 1
        return max((widths.count(width) for width in set(widths) if width > 1), default=0), len(widths)

    best = max(_SEPARATORS, key=lambda separator: agreement(separator)[0])
    agreeing, rows = agreement(best)
    # A comma in some of the names is no separator: at least half of the rows have to agree.
    return best if 2 * agreeing >= max(1, rows) else None
