"""Data sets of picture files: class folders, train/val/test folders of those, list files, plain pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from backlight.core.errors import DataError, Failure, counted
from backlight.core.escaping import as_text
from backlight.data.dataset import Dataset
from backlight.data.decoded import from_paths
from backlight.data.lists import read_picture_list
from backlight.data.splits import number_labels, part_of, sort_names
from backlight.images import Search, find_pictures, search_folder
from backlight.images.search import is_system, refusal

FOLLOW = "--follow-links (follow_links=True) where it may be read"


@dataclass(frozen=True)
class Files:
    """Picture files of one part, with the class name of each, or none where they are unlabeled.

    `refused` holds the links there that are not followed, with the reason; `notes` what was left out.
    """

    paths: list[Path]
    names: list[str] | None
    refused: Mapping[Path, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read_folder(root: Path, *, follow_links: bool = False) -> dict[str, Dataset]:
    """Read a folder of class folders, of train/val/test folders of those, or of plain pictures.

    Ids are paths relative to the folder. Links to files that lead out of it are named in `failed`. Folders of the
    system and class folders without a file are left out with a note, and so is a part that has no labels where another
    has them. Raises `DataError` for a class or part that is a link which is not followed, for a class that train lacks,
    for pictures beside class folders, and for classes that look like parts under other names.
    """
    folders = _folders(root, follow_links)
    named = [(part, folder) for folder in folders if (part := part_of(folder.name)) is not None]
    marked = dict(named)
    others = [folder for folder in folders if part_of(folder.name) is None and _holds_pictures(folder, follow_links)]
    # "train" is a thing too: beside other classes, and without classes inside, it is one of them.
    classes_alone = bool(others) and not any(_holds_classes(folder, follow_links) for folder in marked.values())
    if classes_alone or not {"train", "test"} & set(marked):
        whole = _part(root, folders, follow_links)
        _refuse_unnamed_parts(root, folders, follow_links)
        return _datasets(root, {"all": whole}, {})
    if len(marked) < len(named):
        names = [folder.name for _, folder in named]
        raise DataError(f"{root}: folders {names} for {len(marked)} parts", expected="one folder per part")
    if others:
        stray = [folder.name for folder in others]
        raise DataError(f"{root}: folders {stray[:3]} beside {sorted(marked)}", expected="train, val and test only")
    parts = {name: _part(folder, _folders(folder, follow_links), follow_links) for name, folder in marked.items()}
    return _datasets(root, parts, search_folder(root, deep=False, follow_links=follow_links).refused)


def read_list(path: Path) -> dict[str, Dataset]:
    """Read a list file; see `backlight.data.lists.read_picture_list`.

    Ids are the names in the list. Missing files are named in `failed`. Pictures with several labels have `targets`.
    """
    found = read_picture_list(path)
    names = sort_names({label for entry in found.entries for label in entry.labels})
    place = {name: number for number, name in enumerate(names)}
    targets = torch.zeros(len(found.entries), len(names), dtype=torch.bool)
    for row, entry in enumerate(found.entries):
        targets[row, [place[label] for label in entry.labels]] = True
    made = {}
    for part in dict.fromkeys(entry.part for entry in found.entries):
        rows = torch.tensor([row for row, entry in enumerate(found.entries) if entry.part == part])
        kept = rows.tolist()
        labels = torch.full((len(rows),), -1) if found.several else targets[rows].int().argmax(1)
        made[part] = Dataset(
            from_paths([found.files[row] for row in kept]),
            tuple(found.entries[row].name for row in kept),
            labels,
            names,
            failed=found.missing,
            targets=targets[rows] if found.several else None,
            notes=found.notes,
        )
    return made


def read_pictures(paths: Sequence[Path]) -> dict[str, Dataset]:
    """Take plain pictures, unlabeled; ids are their paths."""
    files = find_pictures(list(paths))
    labels = torch.full((len(files),), -1)
    return {"all": Dataset(from_paths(files), tuple(map(as_text, files)), labels)}


def class_folders(root: Path, *, follow_links: bool = False) -> list[Path]:
    """List the folders directly below a folder that hold pictures.

    >>> class_folders(Path(__file__).parent)
    []
    """
    return [folder for folder in _folders(root, follow_links) if _holds_pictures(folder, follow_links)]


def _folders(root: Path, follow_links: bool) -> list[Path]:
    """List the folders that may be classes or parts; raises `DataError` for a link that would be lost in silence."""
    base = root.resolve()
    found = sorted(path for path in root.iterdir() if not path.name.startswith(".") and not is_system(path.name))
    for path in found:
        why = refusal(path, base, follow_links) if path.is_symlink() else ""
        if why and not path.suffix:
            hint = "remove it" if why == "a link to nothing" else FOLLOW
            raise DataError(f"{root}: {path.name!r} is {why}", expected="a folder of pictures there", hint=hint)
    return [path for path in found if path.is_dir()]


def _holds_pictures(folder: Path, follow_links: bool) -> bool:
    return bool(search_folder(folder, follow_links=follow_links).pictures)


def _holds_classes(folder: Path, follow_links: bool) -> bool:
    return bool(class_folders(folder, follow_links=follow_links))


def _part(root: Path, folders: list[Path], follow_links: bool) -> Files:
    here = search_folder(root, deep=False, follow_links=follow_links)
    searched = {folder.name: search_folder(folder, follow_links=follow_links) for folder in folders}
    beside, by_class = here.pictures, {name: found.pictures for name, found in searched.items()}
    refused = {path: why for found in (here, *searched.values()) for path, why in found.refused.items()}
    empty = [name for name, files in by_class.items() if not files]
    notes = _left_out([path.name for found in (here, *searched.values()) for path in found.skipped], empty)
    if not any(by_class.values()):
        if beside:
            return Files(beside, None, refused, notes)
        raise DataError(
            f"{root} holds no pictures{Search([], refused).refusals()}",
            expected="class folders with pictures, or pictures",
        )
    if beside:
        raise DataError(
            f"{root}: {len(beside)} pictures beside class folders, such as {beside[0].name}",
            expected="pictures inside class folders only",
        )
    for name in empty:
        if searched[name].refused:
            raise DataError(f"{root}: class folder {name!r} holds no pictures{searched[name].refusals()}", hint=FOLLOW)
    pairs = [(path, name) for name, files in by_class.items() for path in files]
    return Files([path for path, _ in pairs], [as_text(name) for _, name in pairs], refused, notes)


def _left_out(system: list[str], empty: list[str]) -> tuple[str, ...]:
    shown = ", ".join(dict.fromkeys(system))
    notes = [f"left out {counted(len(system), 'folder')} of the system: {shown}"] if system else []
    if empty:
        notes.append(f"left out {counted(len(empty), 'folder')} without a picture: {', '.join(empty[:5])}")
    return tuple(notes)


def _refuse_unnamed_parts(root: Path, folders: list[Path], follow_links: bool) -> None:
    """Refuse "classes" that all hold the same folders: they are parts under names that nobody can know."""
    inside = {}
    for folder in folders:
        found = search_folder(folder, follow_links=follow_links).pictures
        if found:
            inside[folder.name] = {path.parent.name for path in found if path.parent != folder}
    shared = set.intersection(*inside.values()) if inside else set()
    if len(shared) < 2:
        return
    names, some = list(inside), ", ".join(sorted(shared)[:3])
    if len(names) == 1:
        raise DataError(f"{root} holds one folder, {names[0]!r}, with {some}", hint=f"DATA {root / names[0]}")
    raise DataError(
        f"{root}: {', '.join(names[:4])} all hold the same folders: {some}",
        expected="classes that differ, or parts by their names",
        hint="name the parts train, val and test; or DATA as one of them; or a list of 'path,label'",
    )


def _datasets(root: Path, parts: dict[str, Files], refused: Mapping[Path, str]) -> dict[str, Dataset]:
    known = set(parts["train"].names or ()) if "train" in parts else set()
    # A folder of its own for pictures of no class: "test/test", "test/unknown".
    strange = [name for name, files in parts.items() if files.names and known and known.isdisjoint(files.names)]
    parts = {name: replace(files, names=None) if name in strange else files for name, files in parts.items()}
    named = {name: files.names for name, files in parts.items() if files.names is not None}
    label_names, labels = number_labels(named, str(root)) if named else ((), {})
    made = {}
    for name, files in parts.items():
        ids = tuple(as_text(path.relative_to(root)) for path in files.paths)
        numbers = torch.full((len(ids),), -1) if files.names is None else labels[name]
        links = sorted({**refused, **files.refused}.items())
        failed = tuple(Failure(path.relative_to(root).as_posix(), why) for path, why in links)
        pictures = from_paths(files.paths)
        made[name] = Dataset(pictures, ids, numbers, label_names, failed=failed, notes=files.notes)
    return made
