"""Data sets of picture files: class folders, train/val/test folders of those, list files, plain pictures."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from backlight.data.dataset import Dataset
from backlight.data.pictures import from_paths
from backlight.data.splits import number_labels, part_of
from backlight.errors import DataError, Failure, FileError
from backlight.files import inside
from backlight.images import Search, find_pictures, search_folder

LIST_LIMIT = 256 * 2**20
HEADER = (("path", "file", "filename", "image"), ("label", "class"))


@dataclass(frozen=True)
class Files:
    """Picture files of one part, with the class name of each, or none where they are unlabeled.

    `refused` holds the links there that are not followed, with the reason.
    """

    paths: list[Path]
    names: list[str] | None
    refused: Mapping[Path, str] = field(default_factory=dict)


def read_folder(root: Path) -> dict[str, Dataset]:
    """Read a folder of class folders, of train/val/test folders of those, or of plain pictures.

    Ids are paths relative to the folder. Links that lead out of it are named in `failed`. Raises `DataError` for
    an empty class, a class that train lacks, or pictures beside class folders.
    """
    folders = _folders(root)
    named = [(part, folder) for folder in folders if (part := part_of(folder.name)) is not None]
    marked = dict(named)
    if "train" not in marked and "test" not in marked:
        return _datasets(root, {"all": _part(root, folders, must_be_full=True)}, {})
    stray = [folder.name for folder in folders if part_of(folder.name) is None and search_folder(folder).pictures]
    if len(marked) < len(named):
        names = [folder.name for _, folder in named]
        raise DataError(f"{root}: folders {names} for {len(marked)} parts", expected="one folder per part")
    if stray:
        raise DataError(f"{root}: folders {stray[:3]} beside {sorted(marked)}", expected="train, val and test only")
    parts = {name: _part(folder, _folders(folder), must_be_full=name == "train") for name, folder in marked.items()}
    return _datasets(root, parts, search_folder(root, deep=False).refused)


def read_list(path: Path) -> dict[str, Dataset]:
    """Read a list file of lines `path label` (the label may follow a tab or, in .csv, a comma).

    Paths are relative to the list's folder, or to a folder beside it that has the list's name or is the only
    one. Lines that are empty or begin with # are skipped, and a first line `path label` where no file is called
    so. Raises `FileError` for a line that does not fit or a
    path that leads out of the folder.
    """
    if path.stat().st_size > LIST_LIMIT:
        raise FileError(path, "larger than 256 MiB", expected="a list of pictures")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise FileError(path, "not a text file", expected="lines of 'path label'") from None
    entries = [_entry(path, number, line) for number, line in enumerate(lines, 1) if _counts(line)]
    if entries and _is_header(path, *entries[0]):
        del entries[0]
    if not entries:
        raise FileError(path, "holds no entries", expected="lines of 'path label'")
    base = _list_base(path, entries[0][0])
    files = [inside(base, entry) for entry, _ in entries]
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        raise FileError(path, f"{len(missing)} listed files are missing: {missing[0]}", expected=f"files in {base}")
    return _datasets(base.resolve(), {"all": Files(files, [label for _, label in entries])}, {})


def read_pictures(paths: Sequence[Path]) -> dict[str, Dataset]:
    """Take plain pictures, unlabeled; ids are their paths."""
    files = find_pictures(list(paths))
    labels = torch.full((len(files),), -1)
    return {"all": Dataset(from_paths(files), tuple(path.as_posix() for path in files), labels)}


def class_folders(root: Path) -> list[Path]:
    """List the folders directly below a folder that hold pictures.

    >>> class_folders(Path(__file__).parent)
    []
    """
    return [folder for folder in _folders(root) if search_folder(folder).pictures]


def _folders(root: Path) -> list[Path]:
    base = root.resolve()
    found = (path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    return sorted(path for path in found if path.resolve().is_relative_to(base))


def _part(root: Path, folders: list[Path], must_be_full: bool) -> Files:
    here = search_folder(root, deep=False)
    searched = {folder.name: search_folder(folder) for folder in folders}
    beside, by_class = here.pictures, {name: found.pictures for name, found in searched.items()}
    refused = {path: why for found in (here, *searched.values()) for path, why in found.refused.items()}
    if not any(by_class.values()):
        if beside:
            return Files(beside, None, refused)
        raise DataError(
            f"{root} holds no pictures{Search([], refused).refusals()}",
            expected="class folders with pictures, or pictures",
        )
    if beside:
        raise DataError(
            f"{root}: {len(beside)} pictures beside class folders, such as {beside[0].name}",
            expected="pictures inside class folders only",
        )
    empty = [name for name, files in by_class.items() if not files]
    if empty and must_be_full:
        raise DataError(
            f"{root}: class folder {empty[0]!r} holds no pictures{searched[empty[0]].refusals()}",
            hint="add pictures or remove the folder",
        )
    pairs = [(path, name) for name, files in by_class.items() for path in files]
    return Files([path for path, _ in pairs], [name for _, name in pairs], refused)


def _datasets(root: Path, parts: dict[str, Files], refused: Mapping[Path, str]) -> dict[str, Dataset]:
    unlabeled = [name for name, files in parts.items() if files.names is None]
    if unlabeled and len(parts) > len(unlabeled):
        raise DataError(f"{root}: {unlabeled[0]} has no class folders", expected="class folders in every part")
    named = {name: files.names or [] for name, files in parts.items()}
    label_names, labels = number_labels(named, str(root))
    made = {}
    for name, files in parts.items():
        ids = tuple(path.relative_to(root).as_posix() for path in files.paths)
        numbers = torch.full((len(ids),), -1) if files.names is None else labels[name]
        links = sorted({**refused, **files.refused}.items())
        failed = tuple(Failure(path.relative_to(root).as_posix(), why) for path, why in links)
        made[name] = Dataset(from_paths(files.paths), ids, numbers, label_names, failed=failed)
    return made


def _counts(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _entry(path: Path, number: int, line: str) -> tuple[str, str]:
    if path.suffix.lower() == ".csv":
        pieces = next(csv.reader([line]))
    elif "\t" in line:
        pieces = line.split("\t")
    else:
        pieces = line.strip().rsplit(None, 1)
    if len(pieces) != 2 or not all(piece.strip() for piece in pieces):
        raise FileError(path, f"line {number}: {line[:80]!r}", expected="a path and a label")
    return pieces[0].strip(), pieces[1].strip()


def _is_header(path: Path, first: str, second: str) -> bool:
    named = first.lower() in HEADER[0] and second.lower() in HEADER[1]
    return named and not inside(_list_base(path, first), first).is_file()


def _list_base(path: Path, first: str) -> Path:
    beside = _folders(path.parent)
    candidates = [path.parent, path.with_suffix(""), *(beside if len(beside) == 1 else [])]
    for base in candidates:
        if base.is_dir() and inside(base, first).is_file():
            return base
    return path.parent
