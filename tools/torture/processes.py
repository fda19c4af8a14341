"""A verb as a process of its own, started in two ways.

Plain: `python -m backlight`, as people start it; three to six seconds pass before it does anything, on a core of its
own. Warm: this process has imported the program and torch, and forks into a new session for each run, with its own
standard streams and the real entry of the command line: a thousand runs take minutes instead of hours. Torch forks well
as long as it has computed nothing and has one thread, so the parent computes nothing. The warm way skips the
interpreter's start and end, which is why some trials are plain.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import pkgutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

SIGNALS = (signal.SIGINT, signal.SIGTERM)
LIMIT = 300.0
"""Seconds after which a run counts as one that hangs."""

# A block is about 20 seconds of work by arithmetic; here it is as small as blocks get, so that a run of a second has
# several of them.
BLOCK_SECONDS = 1e-9
PLAIN = f"import backlight.sweep.cost as cost; cost.SECONDS = {BLOCK_SECONDS}; from backlight.cli import main; main()"


@dataclass(frozen=True)
class Ended:
    """How a run ended: its exit status (negative: by a signal), what it said, and how long it took."""

    status: int
    out: str
    err: str
    seconds: float

    @property
    def resume(self) -> str:
        """Return the command that it printed to go on with, or nothing."""
        lines = [line for line in self.err.splitlines() if line.startswith("resume with: ")]
        return lines[-1].removeprefix("resume with: ") if lines else ""


class Run:
    """A run under way in a folder."""

    def __init__(
        self,
        words: Sequence[str],
        here: Path,
        *,
        plain: bool = False,
        prepare: Callable[[], object] = int,
        stream: str = "run",
    ) -> None:
        self.streams = (here.with_name(f"{stream}.out"), here.with_name(f"{stream}.err"))
        self.started = time.monotonic()
        self.process = (_start_plain if plain else _fork)(words, here, self.streams, prepare)

    def wait(self, seconds: float = LIMIT) -> Ended | None:
        """Return how it ended, or None where it works still."""
        until = time.monotonic() + seconds
        while True:
            process, status = os.waitpid(self.process, os.WNOHANG)
            if process:
                out, err = (path.read_text("utf-8", "replace") for path in self.streams)
                return Ended(os.waitstatus_to_exitcode(status), out, err, time.monotonic() - self.started)
            if time.monotonic() >= until:
                return None
            time.sleep(0.002)

    def send(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.process, number)

    def finish(self) -> Ended:
        """Wait to its end; a run that hangs is killed."""
        ended = self.wait()
        if ended is None:
            self.send(signal.SIGKILL)
            ended = self.wait()
        assert ended is not None
        return ended


def warm_up() -> None:
    """Import all of the program, and what it imports late; compute nothing."""
    import backlight

    for found in pkgutil.walk_packages(backlight.__path__, "backlight."):
        if found.name != "backlight.__main__":
            importlib.import_module(found.name)
    for name in ("matplotlib.pyplot", "torch.utils.tensorboard", "safetensors.torch", "pyarrow.parquet", "timm"):
        importlib.import_module(name)
    importlib.import_module("backlight.sweep.cost").SECONDS = BLOCK_SECONDS


def _start_plain(words: Sequence[str], here: Path, streams: tuple[Path, Path], prepare: Callable[[], object]) -> int:
    with streams[0].open("wb") as out, streams[1].open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-c", PLAIN, *words],
            cwd=here,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
            preexec_fn=prepare,
        )
    process.returncode = 0  # it is waited for by its number
    return process.pid


def _fork(words: Sequence[str], here: Path, streams: tuple[Path, Path], prepare: Callable[[], object]) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    # A signal that comes before the program handles any waits until it does.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    process = os.fork()
    if process == 0:
        status = 1
        try:
            status = _become(words, here, streams, prepare)
        finally:
            os._exit(status)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    return process


def _become(words: Sequence[str], here: Path, streams: tuple[Path, Path], prepare: Callable[[], object]) -> int:
    """Run the command line in a process that was forked just now, and return its exit status."""
    os.setsid()
    os.chdir(here)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, path in enumerate(streams, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), number)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", encoding="utf-8", closefd=False) for number in (1, 2))
    sys.argv = ["backlight", *words]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    prepare()
    try:
        from backlight.cli import main

        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        main()
        status = 0
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    return status
