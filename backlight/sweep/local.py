"""Workers that are processes of this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISFIFO
from typing import IO

import torch

import backlight

_PATIENCE = 30.0  # seconds for a worker to end by itself: it is heard between two steps only
_TOLD = 4096  # bytes of the end of what a worker said


@dataclass(frozen=True, eq=False)
class Process:
    """A worker in a process of its own, and what it says on standard error."""

    number: int
    process: subprocess.Popen[bytes]
    said: IO[bytes]

    @property
    def name(self) -> str:
        """Return what people call it."""
        return f"worker {self.number} (process {self.process.pid})"

    def ended(self) -> str | None:
        """Say how it ended, "" where it did all that there was; None while it works."""
        status = self.process.poll()
        if status is None or status == 0:
            return None if status is None else ""
        if status < 0:
            with suppress(ValueError):  # a signal without a name
                return f"was ended by {signal.Signals(-status).name}"
        lines = self._last().strip().splitlines()
        return f"ended with status {status}{': ' if lines else ''}{lines[-1].strip() if lines else ''}"

    def stop(self) -> None:
        """Ask it to end, as Ctrl-C does: what it has finished stays."""
        self.process.terminate()

    def wait(self) -> None:
        """Wait until it has ended, and end it by force where it does not."""
        try:
            self.process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _last(self) -> str:
        size = os.fstat(self.said.fileno()).st_size
        return os.pread(self.said.fileno(), _TOLD, max(0, size - _TOLD)).decode("utf-8", "replace")


def start_processes(commands: Sequence[Sequence[str]]) -> list[Process]:
    """Start a process for each command, with its part of this one's threads; each ends when this one does.

    >>> start_processes([])
    []
    """
    started: list[Process] = []
    threads = max(1, torch.get_num_threads() // max(1, len(commands)))
    # The package that runs here is the one that runs there, whatever lies in the current folder.
    paths = [str(Path(backlight.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": os.pathsep.join(paths)}
    for number, command in enumerate(commands, 1):
        said = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the worker is asked about
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "backlight", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=said,
            env=environment,
            start_new_session=True,  # Ctrl-C is heard here, and passed on
        )
        started.append(Process(number, process, said))
    return started


def end_with_parent() -> None:
    """Let this process be terminated when the one that started it is gone, however that ended.

    The parent keeps a pipe open that this process reads; without one nothing happens.
    """
    if S_ISFIFO(os.fstat(0).st_mode):
        threading.Thread(target=_wait_for_end, daemon=True).start()


def _wait_for_end() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
