"""A process that takes inputs, and does nothing on the machine but read them."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from backlight.core.errors import BacklightError
from tools.fuzz import limits
from tools.fuzz.inputs import Files, lay_out
from tools.fuzz.verdict import Verdict

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = ("os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.chmod", "os.chown", "os.utime")
_MOVES = ("os.rename", "os.link", "os.symlink")
_PROGRAMS = ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "os.fork")
_NETWORK = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname")
Read = Callable[[Path], object]


class Child:
    """Take inputs one after the other, in a child process that never returns."""

    def __init__(self, folder: Path, tell: int) -> None:
        self.folder, self.tell, self.idle = folder, tell, limits.resident_pages("self")
        self.active, self.place, self.outside = False, folder, ""

    def work(self, read: Read, inputs: Sequence[Files]) -> None:
        """Read every input, tell what came of each, and end."""
        try:
            self._prepare()
            self._say({"idle": self.idle})
            for number, files in enumerate(inputs):
                self.place = self.folder / str(number)
                self.place.mkdir()
                os.chdir(self.place)
                lay_out(files, self.place)
                self._say({"begins": number})
                self._say(vars(self._judged(read)))
        except BaseException:
            os._exit(3)
        os._exit(0)

    def _prepare(self) -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        sys.addaudithook(self._audit)

    def _judged(self, read: Read) -> Verdict:
        limits.limit_cpu()
        limits.forget_peak()
        start = time.process_time()
        kind, where, detail = "read", "", ""
        self.active, self.outside = True, ""
        try:
            read(self.place)
        except BacklightError as error:
            kind, detail = "refused", str(error)[:500]
        except BaseException as error:
            kind, where, detail = "raised", _where(error), traceback.format_exc()[-6000:]
        self.active = False
        if self.outside:
            kind, where, detail = "wrote outside", self.outside, ""
        used = max(0, limits.peak_pages() - self.idle) * resource.getpagesize()
        if used > limits.MEMORY and kind in ("read", "refused"):
            kind, detail = "over memory", f"{used >> 20} MB"
        return Verdict(kind, where, detail, time.process_time() - start, used / 2**20)

    def _say(self, told: dict[str, Any]) -> None:
        os.write(self.tell, json.dumps(told).encode() + b"\n")

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.active:
            return
        paths: tuple[Any, ...] = ()
        follows = event == "open"  # other changes are of a link, not of what it leads to
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING
        if writes or event in _CHANGES:
            paths = arguments[:1]
        elif event in _MOVES:
            paths = arguments[1:2]
        elif event in _PROGRAMS or event in _NETWORK:
            self._refuse(f"{event} {arguments!r}"[:200])
        for path in paths:
            if isinstance(path, str | bytes) and not self._allowed(os.fsdecode(path), follows):
                self._refuse(f"{event} {path!r}"[:200])

    def _allowed(self, path: str, follows: bool) -> bool:
        above, name = os.path.split(os.path.abspath(path))
        real = os.path.realpath(path) if follows else os.path.join(os.path.realpath(above), name)
        return real == os.devnull or f"{real}{os.sep}".startswith(f"{self.place.resolve()}{os.sep}")

    def _refuse(self, what: str) -> None:
        self.outside = what
        raise PermissionError(what)


def _where(error: BaseException) -> str:
    """Name the exception and the innermost line of the program that it passed."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [one for one in frames if f"{os.sep}backlight{os.sep}" in one.filename]
    last = ours[-1] if ours else frames[-1]
    return f"{type(error).__name__} in {'/'.join(Path(last.filename).parts[-2:])}:{last.name}"
