"""Locks on files, which die with their process: who holds something, and that nobody else does."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from backlight.core.errors import FileError, UsageError
from backlight.core.reading import read_json
from backlight.core.schema import record, text, whole

NAME_LENGTH = 40
_FOLDER_LOCK = ".backlight.lock"
_HOLDER = record({"host": text(), "process": whole(), "since": text(), "doing": text()})


@contextmanager
def held(path: Path, thing: object, doing: str) -> Iterator[None]:
    """Hold a thing for the block, by a lock file at `path` that says who does; it is gone afterwards.

    So is its folder where that was made for nothing.
    The lock belongs to the open file, so the system lets go of it when its process ends, in whatever way.

    Raises UsageError that names the holder where another process, or another block in this one, holds it; `doing` is
    what this block does to it. Raises FileError where no file can be.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "lock.json"
    >>> with held(path, "photos.npz", "written"), held(path, "photos.npz", "written"):
    ...     pass
    Traceback (most recent call last):
    ...
    backlight.core.errors.UsageError: photos.npz is being written by process ... on ... since ...
    """
    folder = path.parent
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = lock_file(path)
    except BlockingIOError:
        raise _refusal(path, thing) from None
    except OSError as error:
        raise FileError(thing, f"cannot be written: {error.strerror}") from error
    try:
        _say_who(descriptor, thing, doing)
        yield
    finally:
        # Gone before it is let go: whoever opens it later opens another file.
        path.unlink(missing_ok=True)
        os.close(descriptor)
        if made and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


@contextmanager
def held_folder(folder: Path, doing: str = "written into") -> Iterator[None]:
    """Hold a folder that results are written into for the block, so that those of two runs never mix; as `held`.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with held_folder(folder), held_folder(folder):
    ...     pass
    Traceback (most recent call last):
    ...
    backlight.core.errors.UsageError: ... is being written into by process ... on ... since ...
    """
    with held(folder / _FOLDER_LOCK, folder, doing):
        yield


def lock_file(path: Path, flags: int = os.O_CREAT) -> int:
    """Open a file, no link, and lock it; return its descriptor.

    Raises BlockingIOError where another has locked it, and OSError where it cannot be opened or locked.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "lock"
    >>> descriptor = lock_file(path)
    >>> is_at(descriptor, path)
    True
    >>> os.close(descriptor)
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | flags, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException:
            os.close(descriptor)
            raise
        if is_at(descriptor, path):
            return descriptor
        os.close(descriptor)  # moved or deleted by the one who held it in between


def hidden_beside(target: Path, purpose: str, suffix: str = "") -> Path:
    """Return a path beside a target that is hidden, short enough, and its own for this purpose.

    >>> hidden_beside(Path("a/photos.npz"), "lock", ".lock")
    PosixPath('a/.photos.d8a18493065f.lock')
    """
    digest = hashlib.blake2b(os.fsencode(f"{target.name}/{purpose}"), digest_size=6).hexdigest()
    return target.with_name(f".{target.stem[:NAME_LENGTH]}.{digest}{suffix}")


def is_at(descriptor: int, path: Path) -> bool:
    """Whether an open file is the one at a path still.

    >>> is_at(0, Path("no-such-file"))
    False
    """
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except OSError:
        return False


def _say_who(descriptor: int, thing: object, doing: str) -> None:
    since = datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="seconds")
    who = {"host": socket.gethostname(), "process": os.getpid(), "since": since, "doing": doing}
    try:
        os.truncate(descriptor, 0)
        os.write(descriptor, json.dumps(who).encode())
    except OSError as error:
        raise FileError(thing, f"cannot be written: {error.strerror}") from error


def _refusal(path: Path, thing: object) -> UsageError:
    try:
        found = read_json(path, _HOLDER, limit=4096)
        who = f"process {found['process']} on {found['host'][:80]} since {found['since'][:40]}"
        held_by = f"is being {found['doing'][:40]} by {who}"
    except FileError:  # taken or let go at this very moment
        held_by = "is held by another process"
    return UsageError(f"{thing} {held_by}", expected="one at a time", hint="another place, or wait")
