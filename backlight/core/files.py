"""Files that are either the old one or the new one, never half of one, and never out of their folder."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backlight.core.errors import FileError, UsageError

_NAME_LENGTH = 40
_TEMPORARY = re.compile(rf"\..{{1,{_NAME_LENGTH}}}\.[0-9a-f]{{12}}(\.[^.]+)?")


@contextmanager
def atomic(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path in the same folder that becomes `path` when the block ends well.

    The temporary name keeps the suffix, since writers choose the format by it. Missing folders are made. The
    file and its folder are flushed to disk before and after the move; after an exception, Ctrl-C too, the
    temporary file is gone and an older file of that name is as it was.

    Raises FileError when the folder, the disk or the name does not allow it.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "result.txt"
    >>> with atomic(target) as temporary:
    ...     _ = temporary.write_text("whole")
    >>> target.read_text()
    'whole'
    """
    target = Path(path)
    temporary = target.with_name(f"{_temporary_start(target)}{secrets.token_hex(6)}{target.suffix}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(target, f"cannot be written: {error.strerror}") from error
    try:
        yield temporary
        _flush(temporary)
        os.replace(temporary, target)
        _flush(target.parent)
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(temporary)):
            raise
        raise FileError(target, f"cannot be written: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)


def sweep_temporary(path: str | os.PathLike[str]) -> None:
    """Delete the temporary files that killed processes left beside a file, for a caller that alone writes it.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "part.parquet"
    >>> left = target.with_name(".part.0123456789ab.parquet")
    >>> left.touch()
    >>> sweep_temporary(target)
    >>> left.exists()
    False
    """
    target = Path(path)
    _sweep(target.parent, _temporary_start(target))


def sweep_folder(folder: str | os.PathLike[str]) -> None:
    """Delete the temporary files of all that killed processes were writing in a folder, for one who alone writes it.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / ".last.0123456789ab.safetensors").touch()
    >>> sweep_folder(folder)
    >>> list(folder.iterdir())
    []
    """
    _sweep(Path(folder))


def _sweep(folder: Path, start: str = ".") -> None:
    for found in os.scandir(folder):
        if found.name.startswith(start) and re.fullmatch(_TEMPORARY, found.name):
            Path(found.path).unlink(missing_ok=True)


def _temporary_start(target: Path) -> str:
    return f".{target.stem[:_NAME_LENGTH]}."


def _flush(path: Path) -> None:
    if path.is_dir() and os.name != "posix":
        return  # only POSIX opens folders
    descriptor = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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


def name_part(text: str) -> str:
    """Return a text with everything but letters, digits and `_+.=` joined by hyphens, as a part of a file's name.

    >>> name_part("pgd:eps=8/255,steps=3")
    'pgd-eps=8-255-steps=3'
    """
    return re.sub(r"[^A-Za-z0-9_+.=]+", "-", text)


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
