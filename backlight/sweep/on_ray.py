"""Workers that are actors of Ray: each runs the same command in a process that Ray places, on any of its machines.

No picture and no row travels through Ray: an actor is told the words of a command, loads the model once, finds its
blocks in the shared folder and leaves its parts there. Ray starts an actor when a CPU is free for it, and waits without
a word while none is: so no more are asked for than there is room for, and one CPU stays free for others.
"""

from __future__ import annotations

import io
import logging
import os
import runpy
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from typing import Any

from backlight.core.errors import BacklightError, UsageError

_PATIENCE = 30.0  # seconds for an actor to end by itself: it is heard between two steps only
_START = 300.0  # seconds for Ray to start a process where it said that there is room
_TOLD = 4096  # letters of the end of what a worker said


class Puller:
    """What an actor does: one command, from loading the model to its last part."""

    def begin(self) -> tuple[str, int]:
        """Return the host and the process that Ray chose."""
        return socket.gethostname(), os.getpid()

    def run(self, command: Sequence[str], folder: str) -> tuple[int, str]:
        """Run the words after `backlight` in a folder; return the exit status and the end of what was said."""
        os.chdir(folder)
        said, before, status = io.StringIO(), sys.argv, 0
        sys.argv = ["backlight", *command]
        try:
            with redirect_stdout(io.StringIO()), redirect_stderr(said):
                runpy.run_module("backlight", run_name="__main__")
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        finally:
            sys.argv = before
        return status, said.getvalue()[-_TOLD:]


@dataclass
class Session:
    """A connection to Ray that ends with its last worker, where it was made for them.

    >>> class Stub:
    ...     def shutdown(self) -> None: print("over")
    >>> session = Session(Stub(), own=True, workers=2)
    >>> session.leave(), session.leave()
    over
    (None, None)
    """

    ray: Any
    own: bool
    workers: int

    def leave(self) -> None:
        """Note that a worker has ended."""
        self.workers -= 1
        if self.own and self.workers == 0:
            self.ray.shutdown()


@dataclass(eq=False)
class Actor:
    """A worker that Ray runs: its handle, the answer that says where it is, and the one that says how it ended."""

    number: int
    session: Session
    handle: Any
    began: Any
    answer: Any
    asked: float = field(default_factory=time.monotonic)
    place: tuple[str, int] | None = None
    left: bool = False

    @property
    def name(self) -> str:
        """Return what people call it."""
        place = self._place()
        return f"worker {self.number} ({'Ray' if place is None else f'process {place[1]} on {place[0]}, Ray'})"

    def ended(self) -> str | None:
        """Say how it ended, "" where it did all that there was; None while it works."""
        ray = self.session.ray
        if not ray.wait([self.answer], timeout=0)[0]:
            if self._place() is not None or time.monotonic() - self.asked < _START:
                return None
            how = f"was not started by Ray in {_START:.0f} s"
        else:
            how = self._how()
        self._leave()
        return how

    def stop(self) -> None:
        """Ask it to end, as Ctrl-C does: what it has finished stays. On another machine Ray ends it at once."""
        place = self._place()
        if place is not None and place[0] == socket.gethostname():
            try:
                os.kill(place[1], signal.SIGTERM)
            except ProcessLookupError:
                return
        else:
            self.session.ray.kill(self.handle)

    def wait(self) -> None:
        """Wait until it has ended, and end it by force where it does not."""
        self.session.ray.wait([self.answer], timeout=_PATIENCE)
        self._leave()

    def _how(self) -> str:
        try:
            status, said = self.session.ray.get(self.answer)
        except Exception as error:  # Ray wraps what an actor raised, and has kinds of its own for those that died
            lines = [one.strip() for one in str(error).splitlines() if one.strip()] or [type(error).__name__]
            dead = [one.split("because ")[-1].split(". ")[0] for one in lines if "actor is dead because" in one]
            return f"was ended: {(dead or lines[-1:])[0][:200]}"
        lines = said.strip().splitlines()
        return f"ended with status {status}{': ' if lines else ''}{lines[-1].strip() if lines else ''}" * (status != 0)

    def _place(self) -> tuple[str, int] | None:
        """Return host and process, None where it has not begun; Ray is not asked once the worker has ended."""
        ray = self.session.ray
        if self.place is None and not self.left and ray.wait([self.began], timeout=0)[0]:
            with suppress(Exception):  # died before it began: `_how` says of what
                self.place = ray.get(self.began)
        return self.place

    def _leave(self) -> None:
        if not self.left:
            self.left = True
            self.session.ray.kill(self.handle)  # its process would keep the model until this one ends
            self.session.leave()


@dataclass(frozen=True)
class NotStarted:
    """A worker for which Ray has no room.

    >>> NotStarted(3, "was not started").ended()
    'was not started'
    """

    number: int
    why: str

    @property
    def name(self) -> str:
        """Return what people call it."""
        return f"worker {self.number}"

    def ended(self) -> str:
        """Say why it works on nothing."""
        return self.why

    def stop(self) -> None:
        """Do nothing: there is nobody to ask."""

    def wait(self) -> None:
        """Do nothing: there is nobody to wait for."""


def start_actors(commands: Sequence[Sequence[str]]) -> list[Actor | NotStarted]:
    """Let Ray start an actor for each command, on one CPU each, and on one GPU each where it has any.

    Ray is joined where `RAY_ADDRESS` or this machine has one that runs, else started for as long as the workers work.
    One CPU stays free. Raises UsageError where Ray is not installed, cannot be reached, or has no CPU for a worker.

    >>> start_actors([])
    []
    """
    if not commands:
        return []
    ray, own = _connected()
    try:
        free = ray.available_resources()
        room, gpus = _room(free, commands[0])
    except BacklightError:
        if own:
            ray.shutdown()
        raise
    taken = list(commands[:room])
    session, workers = Session(ray, own, len(taken)), list[Actor | NotStarted]()
    remote = ray.remote(num_cpus=1, num_gpus=gpus, max_restarts=0, max_task_retries=0)(Puller)
    for number, command in enumerate(taken, 1):
        handle = remote.remote()
        answers = handle.begin.remote(), handle.run.remote(list(command), os.getcwd())
        workers.append(Actor(number, session, handle, *answers))
    why = f"was not started: Ray has room for {room}, with one CPU of {free['CPU']:g} left free"
    return [*workers, *(NotStarted(number, why) for number in range(room + 1, len(commands) + 1))]


def _connected() -> tuple[Any, bool]:
    """Return Ray's module, and whether the connection was made here."""
    try:
        import ray
    except ImportError:
        raise UsageError("--engine ray needs the package ray", hint="pip install 'backlight[ray]'") from None
    if ray.is_initialized():
        return ray, False
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # no cluster at RAY_ADDRESS, another version there, no memory for one here
        reason = " ".join(str(error).split())[:200]
        raise UsageError(f"Ray cannot be used ({type(error).__name__}: {reason})", hint="--engine local") from None
    return ray, True


def _room(free: dict[str, float], command: Sequence[str]) -> tuple[int, int]:
    """Return how many actors there is room for, and how many GPUs each takes."""
    cpus = free.get("CPU", 0)
    if cpus < 2:
        raise UsageError(
            f"--engine ray: {cpus:g} of Ray's CPUs are free",
            expected="2 or more: one works, and one stays free, without which Ray waits for ever and says nothing",
            hint="--workers N without --engine ray",
        )
    gpus = 0 if "--device=cpu" in "=".join(command) else int(free.get("GPU", 0))
    return (min(int(cpus) - 1, gpus), 1) if gpus else (int(cpus) - 1, 0)
