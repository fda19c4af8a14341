"""Lists of pictures in text files: which columns hold paths, labels and parts, and where the files lie."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

from backlight.core.errors import Failure, FileError, counted
from backlight.core.escaping import as_text
from backlight.data.columns import LABELS, PATHS, SEVERAL, SPLITS, Columns, plain, read_columns
from backlight.data.splits import part_of
from backlight.images.search import READABLE, is_hidden

_PROBED = 50  # entries by which the folder of the pictures is found
_TRUE = {"1", "1.0", "true", "yes"}
_FALSE = {"0", "0.0", "-1", "-1.0", "false", "no", ""}
_EXPECTED = "a path and a label in each line"


@dataclass(frozen=True)
class Entry:
    """One picture of a list: its name there, its labels, and its part ("all" where the list marks none)."""

    name: str
    labels: tuple[str, ...]
    part: str = "all"


@dataclass(frozen=True)
class PictureList:
    """The pictures of a list with their files, those whose files are missing, and whether labels may be `several`."""

    entries: list[Entry]
    files: list[Path]
    missing: tuple[Failure, ...]
    several: bool
    notes: tuple[str, ...] = ()


def read_picture_list(path: Path) -> PictureList:
    """Read a list file: paths, labels and parts by the names of its columns, or `path label` where it names none.

    Paths are relative to the list's folder or to a folder beside it, whichever holds the most of them; absolute ones
    and those that lead up are followed, since the list was named by whoever reads it. A path without a suffix is tried
    with those of pictures, a suffix in capitals and in small letters, and backslashes as Windows means them. A label
    may hold several, with a semicolon between them, stand in several columns, or be marked by 0 and 1 in a column per
    class; a picture that occurs in several rows has the labels of all of them.

    Raises FileError for rows that do not fit, and where every picture is missing.
    """
    columns = read_columns(path, lambda name: _find(_bases(path), name) is not None)
    listed = list(_entries(columns))
    if not listed:
        raise FileError(path, "holds no entries", expected=_EXPECTED)
    entries = _merged(listed)
    base = _base(path, [entry.name for entry in entries])
    files = {entry.name: _find([base], entry.name) for entry in entries}
    missing = [name for name, file in files.items() if file is None]
    if len(missing) == len(entries):
        raise FileError(path, f"all {len(missing)} listed files are missing: {missing[0]}", expected=f"files in {base}")
    found = [(entry, file) for entry in entries if (file := files[entry.name]) is not None]
    several = any(len(entry.labels) != 1 for entry in entries)
    repeated = len(listed) - len(entries)
    notes = (f"{counted(repeated, 'row')} of {path.name} name a picture again",) if repeated and not several else ()
    failed = tuple(Failure(as_text(name), "the file is missing") for name in missing)
    named = [replace(entry, name=as_text(entry.name)) for entry, _ in found]
    return PictureList(named, [file for _, file in found], failed, several, notes)


def _entries(columns: Columns) -> Iterator[Entry]:
    if not columns.header:
        yield from _unnamed(columns)
        return
    name, part = columns.place(PATHS), columns.place(SPLITS)
    assert name is not None
    marked = _label_columns(columns, {name, part})
    classes = [as_text(columns.header[place]) for place in marked] if _are_marks(columns, marked) else None
    needed = max(name, *marked) + 1
    for line, row in zip(columns.lines, columns.rows):
        if len(row) < needed or not row[name]:
            raise _misfit(columns, line, row)
        if classes is not None:
            labels = [label for label, place in zip(classes, marked) if row[place].casefold() in _TRUE]
        else:
            labels = list(chain.from_iterable(_split_labels(row[place], columns.header[place]) for place in marked))
        if not labels and len(marked) == 1:
            raise _misfit(columns, line, row)
        yield Entry(row[name], tuple(dict.fromkeys(labels)), _part(columns, line, row, part))


def _unnamed(columns: Columns) -> Iterator[Entry]:
    """Read rows without a header: a path, a label and perhaps a part."""
    parts = all(len(row) == 3 and part_of(row[2]) for row in columns.rows)
    for line, row in zip(columns.lines, columns.rows):
        cells = row[:2] if parts or not any(row[2:]) else row
        if len(cells) != 2 or not all(cells):
            raise _misfit(columns, line, row)
        yield Entry(cells[0], tuple(_split_labels(cells[1])), _part(columns, line, row, 2 if parts else None))


def _label_columns(columns: Columns, taken: set[int | None]) -> list[int]:
    named = [place for place in columns.places(LABELS) if place not in taken]
    others = [place for place in range(len(columns.header)) if place not in taken]
    if named:
        return named
    if len(others) == 1 or (others and _are_marks(columns, others)):
        return others
    raise FileError(
        columns.path,
        f"has the columns {list(columns.header)}",
        expected=f"one of labels, called {', '.join(LABELS[:4])}",
        hint="call it 'label'",
    )


def _are_marks(columns: Columns, places: list[int]) -> bool:
    """Whether some columns, one per class, hold nothing but 0 and 1."""
    values = {row[place].casefold() for row in columns.rows for place in places if place < len(row)}
    return len(places) > 1 and values <= _TRUE | _FALSE and bool(values & _TRUE)


def _split_labels(cell: str, column: str = "") -> list[str]:
    """Split a cell at semicolons, and at bars and commas too where its column's name promises several labels."""
    pieces = re.split(r"[;|,]" if plain(column) in SEVERAL else ";", cell)
    return [as_text(label) for piece in pieces if (label := piece.strip())]


def _part(columns: Columns, line: int, row: tuple[str, ...], place: int | None) -> str:
    if place is None:
        return "all"
    value = row[place] if place < len(row) else ""
    part = part_of(value)
    if part is None:
        raise FileError(columns.path, f"line {line}: the part {value!r}", expected="train, val or test")
    return part


def _misfit(columns: Columns, line: int, row: tuple[str, ...]) -> FileError:
    hint = "" if columns.header else "name the columns in the first line, as in path,label"
    return FileError(columns.path, f"line {line}: {' '.join(row)[:80]!r}", expected=_EXPECTED, hint=hint)


def _merged(listed: list[Entry]) -> list[Entry]:
    """Join the rows of one picture: it has the labels of all of them."""
    merged: dict[str, Entry] = {}
    for entry in listed:
        before = merged.get(entry.name)
        if before is None:
            merged[entry.name] = entry
            continue
        if before.part != entry.part:
            raise FileError(
                entry.name, f"is in {before.part} and in {entry.part}", expected="one part for each picture"
            )
        labels = tuple(dict.fromkeys((*before.labels, *entry.labels)))
        merged[entry.name] = Entry(entry.name, labels, entry.part)
    return list(merged.values())


def _bases(path: Path) -> list[Path]:
    """List where the pictures of a list may lie: beside it, in a folder of its name, in another folder beside it."""
    beside = sorted(one for one in path.parent.iterdir() if one.is_dir() and not is_hidden(one.name))
    return list(dict.fromkeys([path.parent, path.with_suffix(""), *beside]))


def _base(path: Path, names: list[str]) -> Path:
    probed = names[:: max(1, len(names) // _PROBED)]
    held = Counter({base: sum(_find([base], name) is not None for name in probed) for base in _bases(path)})
    return held.most_common(1)[0][0]


def _find(bases: list[Path], name: str) -> Path | None:
    """Find the file of an entry: as it is written, as Windows writes paths, or with the suffix of a picture."""
    for base in bases:
        for candidate in map(partial(os.path.join, base), _spellings(name)):
            if os.path.lexists(candidate) and not os.path.isdir(candidate):
                return Path(candidate)
    return None


def _spellings(name: str) -> Iterator[str]:
    yield name
    if "\\" in name:
        yield from _spellings(name.replace("\\", "/"))
    stem, suffix = os.path.splitext(name)
    if plain(suffix) in READABLE:
        yield from (stem + other for other in (suffix.lower(), suffix.upper()) if other != suffix)
    else:
        for suffix in READABLE:
            yield name + suffix
            yield name + suffix.upper()
