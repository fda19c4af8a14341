"""Who pulls the blocks of a verb over a data set: this process, workers that it starts, or a share of an array job."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from backlight.core.errors import UsageError, counted
from backlight.core.escaping import shell_command
from backlight.core.progress import Progress
from backlight.core.share import Share
from backlight.sweep.crew import ENGINES, attend
from backlight.sweep.local import end_with_parent as end_with_parent
from backlight.sweep.plan import Plan, Planned
from backlight.sweep.stopped import ShareDone
from backlight.tasks.outcome import Outcome, plain_json


@dataclass(frozen=True)
class Pulling:
    """How many `workers` an `engine` starts beside this process, or which `part` of the blocks is this one's alone.

    Where it is `planning`, nothing is done but to say what the work takes, at so many `cents` a core hour.
    A worker is `words`, the words of the command after `backlight`, with its share; `tell` hears who died.

    >>> Pulling(words=("evaluate", "--data", "photos/"), workers=2).commands[0]
    ('evaluate', '--resume', '--worker', '1/2', '--data', 'photos/')
    """

    workers: int = 0
    engine: str = "local"
    part: Share | None = None
    words: tuple[str, ...] = ()
    tell: Callable[[str], None] = lambda text: None
    planning: bool = False
    cents: float = 4.0

    @property
    def commands(self) -> list[tuple[str, ...]]:
        """Return the words of each worker's command."""
        verb, rest = self.words[:1], self.words[1:]
        counts = range(1, self.workers + 1)
        return [(*verb, "--resume", "--worker", f"{number}/{self.workers}", *rest) for number in counts]

    def check(self) -> None:
        """Raise UsageError for an engine that there is not, and for what does not go together."""
        ENGINES.find(self.engine)
        if self.engine != "local" and not self.workers and self.part is None:
            raise UsageError(f"--engine {self.engine} without --workers", hint=f"--engine {self.engine} --workers 4")
        if self.workers and self.part is not None:
            raise UsageError(f"{counted(self.workers, 'worker')} for share {self.part}", expected="one of the two")

    def check_alone(self, what: str, hint: str = "") -> None:
        """Raise UsageError where more than this process is asked for, for work that is not cut into blocks to share.

        >>> ALONE.check_alone("a budget of seconds")
        """
        asked = ("--workers" * bool(self.workers), "--shard" * (self.part is not None), "--plan" * self.planning)
        for option in filter(None, asked):
            raise UsageError(f"{option} with {what}", expected="one process that does the whole", hint=hint)

    def attend(self, folder: Path, progress: Progress | None) -> None:
        """Let workers pull the blocks of a folder until they have ended; without workers nothing happens."""
        if self.workers:
            attend(ENGINES.find(self.engine).start(self.commands), folder, progress, self.tell)


ALONE = Pulling()


def pulled(task: Callable[[Pulling], Outcome], pulling: Pulling) -> Outcome:
    """Do a task over a data set; where it works on a share only, tell how far that is and what ends the whole.

    >>> pulled(lambda pulling: Outcome({"n": 2}), ALONE).document
    {'n': 2}
    """
    pulling.check()
    share = pulling.part
    try:
        outcome = task(pulling)
    except Planned as planned:
        return _plan(planned.plans, pulling)
    except ShareDone as done:
        failures = tuple(one for block in done.failed for one in block.failures)
        return Outcome(plain_json(done.to_json()), (str(done), _next(pulling)), failures=failures)
    if share is None or share.helps:
        return outcome
    told = {"shard": str(share), "failed": len(outcome.failures)}
    return Outcome(told, (f"share {share} is done, and all others are", _next(pulling)), failures=outcome.failures)


def _plan(plans: tuple[Plan, ...], pulling: Pulling) -> Outcome:
    lines = tuple(one.told(pulling.workers, pulling.cents) for one in plans)
    found = [one.to_json(pulling.workers, pulling.cents) for one in plans]
    document = {"plan": found, "workers": max(1, pulling.workers), "cents_per_core_hour": pulling.cents}
    return Outcome(plain_json(document), lines, result=plans)


def _next(pulling: Pulling) -> str:
    words = [word for word in pulling.words if word != "--resume"]
    for place, word in enumerate(words):
        if word == "--shard" or word.startswith("--shard="):
            words[place : place + (2 if word == "--shard" else 1)] = ["--resume"]
            break
    return f"once all shares are done, this ends the whole: {shell_command(['backlight', *words])}"
