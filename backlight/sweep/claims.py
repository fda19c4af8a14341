"""Which process is at work on which block: a file that only one process can create, and that outlives no process.

A claim decides about work done twice, never about results: a part is a pure function of its block and is moved into
place whole, so the races that are left (two processes that both find a claim dead) cost time only.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from backlight.core.errors import FileError
from backlight.core.identity import began
from backlight.core.reading import read_json
from backlight.core.schema import number, record, text, whole

SUFFIX = ".claim"
BEAT, EXPIRED = 20.0, 300.0
"""A process at work touches its claims every `BEAT` seconds; one of another host is dead after `EXPIRED` without."""
_CLAIM = record({"host": text(), "process": whole(0, 2**31 - 1), "began": text(), "since": number()})


@dataclass(frozen=True)
class Claim:
    """Who is at work: the host, the process with the time at which it began, and since when (seconds since 1970).

    >>> Claim.own().alive(age=10_000)
    True
    """

    host: str
    process: int
    began: str
    since: float

    @classmethod
    def own(cls) -> Claim:
        """Return a claim of this process."""
        return cls(socket.gethostname(), os.getpid(), began(os.getpid()), time.time())

    def alive(self, age: float) -> bool:
        """Whether the process lives still; on another host only the age of the last sign of life can tell."""
        if self.host != socket.gethostname():
            return age < EXPIRED
        # A process number is given anew after a while: the same one that began at another time is another process.
        return _exists(self.process) and began(self.process) == self.began


@contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Claim `path` for a while: yield whether this process has it, and let go of it whatever happens.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "block.claim"
    >>> with claimed(path) as mine, claimed(path) as again:
    ...     print(mine, again, path.exists())
    True False True
    >>> path.exists()
    False
    """
    if not _take(path):
        yield False
        return
    ended = threading.Event()
    beating = threading.Thread(target=_beat, args=(path, ended), daemon=True)
    beating.start()
    try:
        yield True
    finally:
        ended.set()
        path.unlink(missing_ok=True)
        beating.join()


def read_claim(path: Path) -> Claim | None:
    """Read the claim of a process that is alive; None where there is none."""
    try:
        age = time.time() - path.stat().st_mtime
    except OSError:
        return None
    try:
        claim = Claim(**read_json(path, _CLAIM, limit=4096))
    except (FileError, TypeError):
        # Not written to the end yet, or by a process that died while it wrote.
        return Claim("", 0, "", 0.0) if age < BEAT else None
    return claim if claim.alive(age) else None


def sweep_claim(path: Path) -> None:
    """Delete the claim of a process that is dead: where the work is done, nobody takes it over.

    >>> sweep_claim(Path("no-such.claim"))
    """
    if path.exists() and read_claim(path) is None:
        path.unlink(missing_ok=True)


def _take(path: Path) -> bool:
    for _ in range(2):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                json.dump(vars(Claim.own()), file)
        except FileExistsError:
            if read_claim(path) is not None:
                return False
            path.unlink(missing_ok=True)
        except OSError as error:
            raise FileError(path, f"cannot be written: {error.strerror}") from error
        else:
            return True
    return False


def _beat(path: Path, ended: threading.Event) -> None:
    while not ended.wait(BEAT):
        with suppress(FileNotFoundError):
            os.utime(path)


def _exists(process: int) -> bool:
    if process <= 0:
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
