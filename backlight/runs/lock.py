"""One training at a time in a run's folder: a lock that dies with its process."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from backlight.core.errors import FileError, UsageError
from backlight.core.files import sweep_folder
from backlight.core.reading import read_json
from backlight.core.schema import record, text, whole

NAME = "lock.json"
_HOLDER = record({"host": text(), "process": whole(), "since": text()})


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Hold a run's folder for the block; what killed processes left there half written is deleted first.

    The lock belongs to the open file, so the system lets go of it when its process ends, in whatever way. `lock.json`
    says who holds it, and is gone afterwards. A folder that was made for nothing is removed again.

    Raises UsageError that names the holder where another process, or another training in this one, has the folder.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with run_lock(folder), run_lock(folder):
    ...     pass
    Traceback (most recent call last):
    ...
    backlight.core.errors.UsageError: ... is being trained in by process ... on ... since ...
    """
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = _locked(folder)
    except OSError as error:
        raise FileError(folder, f"cannot be written: {error.strerror}") from error
    try:
        os.truncate(descriptor, 0)
        os.write(descriptor, json.dumps(_holder()).encode())
        sweep_folder(folder)
        yield
    finally:
        # Gone before it is let go: whoever opens it later opens another file.
        (folder / NAME).unlink(missing_ok=True)
        os.close(descriptor)
        if made and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _locked(folder: Path) -> int:
    """Open and lock the file, anew where it was deleted by the one who held it in between."""
    path = folder / NAME
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise _held(folder) from None
        if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
        os.close(descriptor)


def _held(folder: Path) -> UsageError:
    try:
        found = read_json(folder / NAME, _HOLDER, limit=4096)
        who = f"process {found['process']} on {found['host'][:80]} since {found['since'][:40]}"
    except FileError:  # taken or let go at this very moment
        who = "another process"
    return UsageError(
        f"{folder} is being trained in by {who}", expected="one training at a time", hint="another --out, or wait"
    )


def _holder() -> dict[str, str | int]:
    since = datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="seconds")
    return {"host": socket.gethostname(), "process": os.getpid(), "since": since}
