"""Give inputs to a loader in processes of their own, within limits, and judge what comes of it.

This process has imported everything and does nothing else, so that a child begins as soon as it is forked. A child
takes several inputs one after the other and tells when each begins and ends; what fails in company is tried alone.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backlight.core.errors import BacklightError
from tools.fuzz.inputs import Files, lay_out

CPU_SECONDS, WALL_SECONDS = 10, 60
MEMORY = 2**30
"""Bytes of resident memory above what the idle program has."""

_LOOK_SECONDS = 0.02
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = ("os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.chmod", "os.chown", "os.utime")
_MOVES = ("os.rename", "os.link", "os.symlink")
_PROGRAMS = ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "os.fork")
_NETWORK = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname")
Read = Callable[[Path], object]


@dataclass(frozen=True)
class Verdict:
    """What came of an input: `read`, `refused` (our own error), or a failure with what is known of it.

    `where` tells failures of one kind apart: the type of the exception and the line of the program it came from.
    """

    kind: str
    where: str = ""
    detail: str = ""
    seconds: float = 0.0
    megabytes: float = 0.0

    @property
    def fails(self) -> bool:
        """Whether the program did what it must not do."""
        return self.kind not in ("read", "refused")


class Sandbox:
    """Run inputs below one temporary folder; `with` it."""

    def __init__(self) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="backlight-fuzz-"))
        gc.collect()
        gc.freeze()  # a collection in a child would copy every page

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.base, ignore_errors=True)

    def run(self, read: Read, inputs: Sequence[Files]) -> list[Verdict]:
        """Return a verdict for each input."""
        found = self._together(read, inputs)
        if len(inputs) > 1:
            for place, verdict in enumerate(found):
                if verdict is None or verdict.fails:
                    found[place] = self._together(read, inputs[place : place + 1])[0]
        return [one or Verdict("crashed", "no answer") for one in found]

    def _together(self, read: Read, inputs: Sequence[Files]) -> list[Verdict | None]:
        folder = self.base / "work"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        told, tell = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(told)
            _Child(folder, tell).work(read, inputs)
        os.close(tell)
        try:
            found = _Watch(child, told, len(inputs)).verdicts()
        finally:
            os.close(told)
        escaped = sorted(path.name for path in self.base.iterdir() if path != folder)
        if escaped:
            for name in escaped:
                path = self.base / name
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
            kind = "executed" if "executed" in escaped else "wrote outside"
            return [Verdict(kind, ", ".join(escaped)) for _ in inputs]
        return found


class _Watch:
    """Follow a child: what it tells, how long it is silent and how much memory it has."""

    def __init__(self, child: int, told: int, count: int) -> None:
        self.child, self.told, self.idle = child, told, sys.maxsize
        self.found: list[Verdict | None] = [None] * count
        self.begun, self.since = -1, time.monotonic()
        self.killed = ""

    def verdicts(self) -> list[Verdict | None]:
        poll, rest = select.poll(), b""
        poll.register(self.told, select.POLLIN)
        while True:
            if not poll.poll(_LOOK_SECONDS * 1000):
                self._look()
                continue
            data = os.read(self.told, 2**16)
            if not data:
                break
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._take(json.loads(line))
        status = os.waitpid(self.child, 0)[1]
        if self.begun >= 0 and self.found[self.begun] is None:
            self.found[self.begun] = self._ended(os.waitstatus_to_exitcode(status))
        return self.found

    def _take(self, told: dict[str, Any]) -> None:
        if "idle" in told:
            self.idle = told["idle"]
        elif "begins" in told:
            self.begun, self.since = told["begins"], time.monotonic()
        else:
            self.found[self.begun] = Verdict(**told)

    def _look(self) -> None:
        if self.killed:
            return
        if _resident_pages(self.child) - self.idle > MEMORY // resource.getpagesize():
            self.killed = "over memory"
        elif time.monotonic() - self.since > WALL_SECONDS:
            self.killed = "hangs"
        if self.killed:
            os.kill(self.child, signal.SIGKILL)

    def _ended(self, status: int) -> Verdict:
        seconds = time.monotonic() - self.since
        if self.killed:
            return Verdict(self.killed, seconds=seconds)
        if status == -signal.SIGXCPU:
            return Verdict("hangs", f"{CPU_SECONDS} s of CPU", seconds=seconds)
        name = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        return Verdict("crashed", name, seconds=seconds)


class _Child:
    """Take inputs one after the other, in a child process that never returns."""

    def __init__(self, folder: Path, tell: int) -> None:
        self.folder, self.tell, self.idle = folder, tell, _resident_pages("self")
        self.active, self.place, self.outside = False, folder, ""

    def work(self, read: Read, inputs: Sequence[Files]) -> None:
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
        _limit_cpu()
        _forget_peak()
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
        used = max(0, _peak_pages() - self.idle) * resource.getpagesize()
        if used > MEMORY and kind in ("read", "refused"):
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


def _limit_cpu() -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + CPU_SECONDS + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _forget_peak() -> None:
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def _peak_pages() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 // resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 // resource.getpagesize()


def _resident_pages(process: int | str) -> int:
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except (OSError, IndexError):  # it has just ended
        return 0


def imported_by(read: Callable[[], Any]) -> Iterator[str]:
    """List the modules that a call imports, found in a process of its own."""
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        before = set(sys.modules)
        with contextlib.suppress(BaseException):
            read()
        os.write(tell, "\n".join(sorted(set(sys.modules) - before)).encode())
        os._exit(0)
    os.close(tell)
    with os.fdopen(told, "rb") as stream:
        names = stream.read().decode().splitlines()
    os.waitpid(child, 0)
    return iter(names)
