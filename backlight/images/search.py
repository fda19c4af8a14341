"""Which files of a folder are pictures, which folders belong to a system, and which links are not followed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from backlight.core.errors import FileError
from backlight.images.decode import UNREADABLE

READABLE = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff") + (
    ".ppm",
    ".pgm",
    ".pbm",
    ".pnm",
    ".avif",
)
# Those that nothing here decodes are found too: they are then named as failed, not passed over.
_SUFFIXES = {*READABLE, *UNREADABLE}
# Left by archives of macOS, by file servers, file systems and Windows, and by this program.
_SYSTEM = {"__macosx", "@eadir", "#recycle", "lost+found", "$recycle.bin", "recycler", "system volume information"} | {
    "__pycache__",
    "backlight-out",
}


def find_pictures(paths: Sequence[str | os.PathLike[str]]) -> list[Path]:
    """List picture files: those named, and those in named folders, at any depth and sorted by path.

    A named file is taken whatever its suffix is; in folders the suffix decides, hidden names and folders of the
    system are left out, links to folders are not followed and links to files only where they stay inside the folder.

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
        if not os.path.isdir(path):
            if not os.path.exists(path):
                raise FileError(path, "does not exist", expected="a picture or a folder of pictures")
            found.append(path)
            continue
        below = search_folder(path)
        if not below.pictures:
            expected = "files named " + " ".join(sorted(READABLE))
            raise FileError(path, f"holds no pictures{below.refusals()}", expected=expected)
        found += below.pictures
    return found


@dataclass(frozen=True)
class Search:
    """The picture files of a folder, the links there that are not followed with the reason, and the system's folders.

    >>> Search([], {Path("cat.png"): "a link to nothing"}).refusals()
    ', but one link that is not followed: cat.png (a link to nothing)'
    """

    pictures: list[Path]
    refused: Mapping[Path, str]
    skipped: list[Path] = field(default_factory=list)

    def refusals(self) -> str:
        """Describe which links are not followed, for an error about pictures that are missed; nothing where all are."""
        if not self.refused:
            return ""
        path, why = next(iter(self.refused.items()))
        number = len(self.refused)
        links = "one link that is not followed:" if number == 1 else f"{number} links that are not followed, such as"
        return f", but {links} {path.name} ({why})"


def search_folder(folder: str | os.PathLike[str], deep: bool = True, follow_links: bool = False) -> Search:
    """Search a folder as `find_pictures` does, all of it or its first level, and tell which links are refused.

    With `follow_links` every link is followed, wherever it leads; a folder is entered once.

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
    skipped: list[Path] = []
    for place, folders, names in _walk(Path(folder), follow_links):
        skipped += [place / name for name in folders if is_system(name)]
        folders[:] = [name for name in folders if not is_hidden(name)]
        for path in (place / name for name in (*folders, *names) if not is_hidden(name)):
            why = refusal(path, root, follow_links) if path.is_symlink() else ""
            if why:
                refused[path] = why
            elif path.suffix.lower() in _SUFFIXES and os.path.isfile(path):
                pictures.append(path)
        if not deep:
            break
    return Search(sorted(pictures), dict(sorted(refused.items())), sorted(skipped))


def is_system(name: str) -> bool:
    """Whether a folder belongs to a system or to this program, by its name.

    >>> is_system("__MACOSX"), is_system("cat")
    (True, False)
    """
    return name.casefold() in _SYSTEM


def is_hidden(name: str) -> bool:
    """Whether a name is left out of every search: it begins with a dot, or belongs to a system."""
    return name.startswith(".") or is_system(name)


def refusal(path: Path, root: Path, follow_links: bool = False) -> str:
    """Describe why a link is not followed; nothing where it is, or where no picture is missed by it.

    >>> refusal(Path("no-such-link.png"), Path("/data"))
    'a link to nothing'
    """
    named = path.suffix.lower() in _SUFFIXES
    if not os.path.exists(path):
        return "a link to nothing" if named or not path.suffix else ""
    leads_out = not follow_links and not path.resolve().is_relative_to(root)
    return "a link that leads out of the folder" if leads_out and (named or os.path.isdir(path)) else ""


def _walk(folder: Path, follow_links: bool) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Walk as `os.walk` does, and enter no folder twice: links may form a circle."""
    entered: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=follow_links):
        real = os.path.realpath(place)
        if follow_links and real in entered:
            folders.clear()
            continue
        entered.add(real)
        yield Path(place), folders, names
