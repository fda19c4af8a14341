"""Which files of a folder are pictures, and which links there are not followed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from backlight.errors import FileError

_SUFFIXES = {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff"}


def find_pictures(paths: Sequence[str | os.PathLike[str]]) -> list[Path]:
    """List picture files: those named, and those in named folders, at any depth and sorted by path.

    A named file is taken whatever its suffix is; in folders the suffix decides, hidden names are left
    out, links to folders are not followed and links to files only where they stay inside the folder.

    Raises FileError for a path that does not exist and for a folder without pictures.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> import torch
    >>> from backlight.images.picture import write_png
    >>> image = torch.zeros(3, 1, 1)
    >>> write_png(folder / "b" / "2.png", image)
    >>> write_png(folder / "a.png", image)
    >>> [path.relative_to(folder).as_posix() for path in find_pictures([folder])]
    ['a.png', 'b/2.png']
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if not path.is_dir():
            if not path.exists():
                raise FileError(path, "does not exist", expected="a picture or a folder of pictures")
            found.append(path)
            continue
        below = search_folder(path)
        if not below.pictures:
            expected = "files named " + " ".join(sorted(_SUFFIXES))
            raise FileError(path, f"holds no pictures{below.refusals()}", expected=expected)
        found += below.pictures
    return found


@dataclass(frozen=True)
class Search:
    """The picture files of a folder, and the links there that are not followed, with the reason.

    >>> Search([], {Path("cat.png"): "a link to nothing"}).refusals()
    ', but one link that is not followed: cat.png (a link to nothing)'
    """

    pictures: list[Path]
    refused: Mapping[Path, str]

    def refusals(self) -> str:
        """Describe which links are not followed, for an error about pictures that are missed; nothing where all are."""
        if not self.refused:
            return ""
        path, why = next(iter(self.refused.items()))
        number = len(self.refused)
        links = "one link that is not followed:" if number == 1 else f"{number} links that are not followed, such as"
        return f", but {links} {path.name} ({why})"


def search_folder(folder: str | os.PathLike[str], deep: bool = True) -> Search:
    """Search a folder as `find_pictures` does, all of it or its first level, and tell which links are refused.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / "up.png").symlink_to("../secret.png")
    >>> (folder / "up").symlink_to("..")
    >>> sorted(search_folder(folder).refused.values())
    ['a link that leads out of the folder', 'a link to nothing']
    """
    root = Path(folder).resolve()
    pictures: list[Path] = []
    refused: dict[Path, str] = {}
    for place, folders, names in os.walk(folder, followlinks=False):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for path in (Path(place, name) for name in (*folders, *names) if not name.startswith(".")):
            why = _refusal(path, root) if path.is_symlink() else ""
            if why:
                refused[path] = why
            elif path.suffix.lower() in _SUFFIXES and path.is_file():
                pictures.append(path)
        if not deep:
            break
    return Search(sorted(pictures), dict(sorted(refused.items())))


def _refusal(path: Path, root: Path) -> str:
    """Describe why a link is not followed; nothing where it is, or where no picture is missed by it."""
    named = path.suffix.lower() in _SUFFIXES
    if not os.path.exists(path):
        return "a link to nothing" if named or not path.suffix else ""
    if (named or os.path.isdir(path)) and not path.resolve().is_relative_to(root):
        return "a link that leads out of the folder"
    return ""
