"""The temporary file that becomes another as a whole, and what becomes of it where its process is killed."""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backlight.core.errors import FileError
from backlight.core.locks import NAME_LENGTH, hidden_beside, is_at, lock_file

_SUFFIX_LENGTH, _WRITERS = 16, 8
_TEMPORARY = re.compile(rf"\..{{1,{NAME_LENGTH}}}\.[0-9a-f]{{12}}(\.[^.]+)?", re.DOTALL)


@contextmanager
def atomic(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path in the same folder that becomes `path` when the block ends well.

    The file is there, empty, and has to be written, not replaced. Its name keeps the suffix, since writers choose the
    format by it, and follows from `path`: what a killed process left half written is what the next one to write that
    path begins with. Missing folders are made. The file and its folder are flushed to disk before and after the move;
    after an exception, Ctrl-C too, the temporary file is gone and an older file of that name is as it was.

    Raises FileError when the folder, the disk or the name does not allow it.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "result.txt"
    >>> with atomic(target) as temporary:
    ...     _ = temporary.write_text("whole")
    >>> target.read_text()
    'whole'
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary, descriptor = _taken(target)
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
        if is_at(descriptor, temporary):  # not moved: it is this process's own
            temporary.unlink()
        os.close(descriptor)


def sweep_folder(folder: str | os.PathLike[str]) -> None:
    """Delete the temporary files that killed processes left in a folder.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / ".last.0123456789ab.safetensors").touch()
    >>> sweep_folder(folder)
    >>> list(folder.iterdir())
    []
    """
    for found in os.scandir(folder):
        if re.fullmatch(_TEMPORARY, found.name):
            _delete_dead(Path(found.path))


def _taken(target: Path) -> tuple[Path, int]:
    """Open the temporary file of a target for this process alone, whose lock ends with it in whatever way.

    Of several processes that write the same target at once, each has a file of its own.
    """
    names = [_temporary(target, str(writer)) for writer in range(_WRITERS)]
    for place, name in enumerate(names, 1):
        descriptor = _locked(name, os.O_CREAT)
        if descriptor is not None:
            os.truncate(descriptor, 0)
            # What several left behind that were killed together.
            while place < _WRITERS and _delete_dead(names[place]):
                place += 1
            return name, descriptor
    # Where files cannot be locked, where somebody else has these names, or where nothing can be written at all.
    name = _temporary(target, secrets.token_hex(6))
    return name, os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)


def _temporary(target: Path, writer: str) -> Path:
    suffix = target.suffix if len(os.fsencode(target.suffix)) <= _SUFFIX_LENGTH else ""
    return hidden_beside(target, writer, suffix)


def _locked(path: Path, flags: int = 0) -> int | None:
    """Lock a temporary file that no living process holds; None where there is none, or where it is no such file."""
    try:
        descriptor = lock_file(path, flags)
    except OSError:
        return None
    found = os.fstat(descriptor)
    if stat.S_ISREG(found.st_mode) and found.st_nlink == 1:  # nobody's other file by another name
        return descriptor
    os.close(descriptor)
    return None


def _delete_dead(path: Path) -> bool:
    """Delete a temporary file whose process is gone; tell whether there was one."""
    descriptor = _locked(path)
    if descriptor is None:
        return False
    path.unlink()
    os.close(descriptor)
    return True


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
