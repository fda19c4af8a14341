"""Files that are either the old one or the new one, never half of one, and never out of their folder."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from backlight.core.atomic import atomic
from backlight.core.errors import FileError, UsageError

_LONGEST_PART = 64  # of at most 255 letters, most are the picture's


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write bytes to a file atomically.

    Raises FileError as `atomic` does.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "data.bin"
    >>> write_bytes(target, b"123")
    >>> target.read_bytes()
    b'123'
    """
    with atomic(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write text as UTF-8 to a file atomically, line endings as they are.

    Raises FileError as `atomic` does.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "note.txt"
    >>> write_text(target, "epsilon = 8/255")
    >>> target.read_text()
    'epsilon = 8/255'
    """
    write_bytes(path, text.encode("utf-8"))


def inside(folder: str | os.PathLike[str], path: str | os.PathLike[str]) -> Path:
    """Resolve a path against a folder, links followed, and refuse one that leads out of it.

    Raises FileError for a path that leaves the folder, and for names that no file can have.

    >>> inside("runs", "first/best.safetensors").name
    'best.safetensors'
    >>> inside("runs", "../secret")
    Traceback (most recent call last):
    ...
    backlight.core.errors.FileError: ../secret: leads out of the folder runs; ...
    """
    try:
        root = Path(folder).resolve()
        resolved = (root / path).resolve()
    except (ValueError, OSError, RuntimeError) as error:  # a zero byte, a name too long, a loop of links
        raise FileError(path, f"is not a usable path ({error})") from error
    if not resolved.is_relative_to(root):
        raise FileError(path, f"leads out of the folder {folder}", expected="a path inside it")
    return resolved


def expanded(text: str) -> Path:
    """Return the path that a person named, with `~` as the home folder.

    Raises FileError for the home of nobody, and for names that no file can have.

    >>> expanded("pictures/cat.png").name
    'cat.png'
    """
    try:
        return Path(text).expanduser()
    except (RuntimeError, ValueError) as error:  # nobody's home; a zero byte, half a letter
        raise FileError(text, f"is not a usable path ({error})") from None


def name_part(text: str) -> str:
    """Return a text with everything but letters, digits and `_+.=` joined by hyphens, as a part of a file's name.

    A long one is cut, and told from others by a digest.

    >>> name_part("pgd:eps=8/255,steps=3")
    'pgd-eps=8-255-steps=3'
    """
    plain = re.sub(r"[^A-Za-z0-9_+.=]+", "-", text)
    if len(plain) <= _LONGEST_PART:
        return plain
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    return f"{plain[: _LONGEST_PART - 9]}-{digest}"


def require_new(path: str | os.PathLike[str], force: bool = False) -> Path:
    """Return the path if nothing is there yet, or if `force` allows to replace it.

    Raises UsageError otherwise.

    >>> require_new("does-not-exist.html").name
    'does-not-exist.html'
    """
    target = Path(path)
    if not force and os.path.lexists(target):
        raise UsageError(f"{target} exists already", expected="a new name", hint="--force to replace it")
    return target
