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
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tools.fuzz import limits
from tools.fuzz.child import Child, Read
from tools.fuzz.inputs import Files
from tools.fuzz.verdict import Verdict

_LOOK_SECONDS = 0.02


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
            Child(folder, tell).work(read, inputs)
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
        if limits.resident_pages(self.child) - self.idle > limits.MEMORY // resource.getpagesize():
            self.killed = "over memory"
        elif time.monotonic() - self.since > limits.WALL_SECONDS:
            self.killed = "hangs"
        if self.killed:
            os.kill(self.child, signal.SIGKILL)

    def _ended(self, status: int) -> Verdict:
        seconds = time.monotonic() - self.since
        if self.killed:
            return Verdict(self.killed, seconds=seconds)
        if status == -signal.SIGXCPU:
            return Verdict("hangs", f"{limits.CPU_SECONDS} s of CPU", seconds=seconds)
        name = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        return Verdict("crashed", name, seconds=seconds)


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
