"""One worker with a queue: jobs wait for their turn, say how they get on, and can be cancelled at any moment."""

from __future__ import annotations

import secrets
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from backlight.core.errors import BacklightError

MOST_WAITING, MOST_KEPT = 32, 8
ENDS = ("done", "failed", "cancelled")
Work = Callable[["Job"], Mapping[str, Any]]


class Busy(Exception):
    """The queue is full: whoever asks is told to come back."""


class Cancelled(BaseException):
    """The work is no longer wanted. No Exception: what catches those to go on without a part must not catch this."""


class Job:
    """One piece of work: its events so far, each a kind with data, and who is told of new ones.

    >>> job = Job(lambda job: {"answer": 42})
    >>> job.run()
    >>> job.events
    [('started', {}), ('done', {'answer': 42})]
    """

    def __init__(self, work: Work) -> None:
        self.name = secrets.token_urlsafe(12)
        self.events: list[tuple[str, Mapping[str, Any]]] = []
        self._work: Work | None = work
        self._cancelled = threading.Event()
        self._told: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    @property
    def ended(self) -> bool:
        """Whether nothing more is to come."""
        return bool(self.events) and self.events[-1][0] in ENDS

    def say(self, kind: str, data: Mapping[str, Any] | None = None) -> None:
        """Add an event; after the end there is nothing to add."""
        with self._lock:
            if self.ended:
                return
            self.events.append((kind, data or {}))
            told = list(self._told)
        for one in told:
            one()

    def tell(self, call: Callable[[], None]) -> None:
        """Call after every event from now on."""
        with self._lock:
            self._told.append(call)

    def cancel(self) -> None:
        """Ask the work to end at its next check; work that waits is not begun."""
        self._cancelled.set()

    def check(self) -> None:
        """Raise Cancelled where the work is no longer wanted."""
        if self._cancelled.is_set():
            raise Cancelled

    def run(self) -> None:
        """Do the work, and say what came of it, whatever that is."""
        work, self._work = self._work, None  # with it the picture that it was asked about
        try:
            self.check()
            self.say("started")
            if work is not None:
                self.say("done", work(self))
        except Cancelled:
            self.say("cancelled")
        except BacklightError as error:
            self.say("failed", {"error": str(error)})
        except Exception as error:  # one request must not end the worker: the page says what it was
            self.say("failed", {"error": f"{type(error).__name__}: {error}"})


class Worker:
    """Run jobs one after another in a thread of its own, and keep those whose end nobody has read yet.

    >>> worker = Worker()
    >>> worker.start()
    >>> job = worker.submit(lambda job: {})
    >>> worker.stop()
    >>> job.ended
    True
    """

    def __init__(self) -> None:
        self.kept: dict[str, Job] = {}
        self._waiting: deque[Job] = deque()
        self._current: Job | None = None
        self._change = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="backlight-app-worker", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def submit(self, work: Work) -> Job:
        """Put work at the end of the queue; raises Busy where it is full, or the app stops."""
        with self._change:
            if len(self._waiting) >= MOST_WAITING or self._stopping:
                raise Busy
            job = Job(work)
            self._waiting.append(job)
            self._forget()
            self.kept[job.name] = job
            job.say("waiting", {"ahead": len(self._waiting) - (self._current is None)})
            self._change.notify()
        return job

    def cancel(self, job: Job) -> None:
        """End a job: at once where it waits, at its next check where it runs."""
        job.cancel()
        with self._change:
            if job in self._waiting:
                self._waiting.remove(job)
                job.say("cancelled")

    def forget(self, job: Job) -> None:
        """Drop a job whose end was read."""
        with self._change:
            self.kept.pop(job.name, None)

    def check(self) -> None:
        """Raise Cancelled where the job that runs in this thread is no longer wanted."""
        if threading.current_thread() is self._thread and self._current is not None:
            self._current.check()

    def stop(self, patience: float = 10.0) -> None:
        """Cancel everything and wait for the worker, at most `patience` seconds."""
        with self._change:
            self._stopping = True
            left = [*self._waiting, *([self._current] if self._current else [])]
            self._change.notify()
        for job in left:
            self.cancel(job)
        if self._thread.ident is not None:
            self._thread.join(patience)

    def _forget(self) -> None:
        ended = [name for name, job in self.kept.items() if job.ended]
        for name in ended[: max(0, len(ended) - MOST_KEPT)]:
            del self.kept[name]

    def _work(self) -> None:
        while True:
            with self._change:
                self._current = None
                self._change.wait_for(lambda: self._waiting or self._stopping)
                if not self._waiting:
                    return
                self._current = self._waiting.popleft()
                for place, job in enumerate(self._waiting, 1):
                    job.say("waiting", {"ahead": place})
            self._current.run()


def stoppable(module: nn.Module, worker: Worker) -> None:
    """Let every pass of a module end a cancelled job: methods of many passes have no other place to be stopped at.

    >>> net, worker = nn.Identity(), Worker()
    >>> stoppable(net, worker)
    >>> len(net._forward_pre_hooks)
    1
    """
    # A plain function: copies of the module share it.
    module.register_forward_pre_hook(lambda *_: worker.check())
