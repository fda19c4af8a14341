"""The options of verbs over a data set that say who works on its blocks, and how such a verb is run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from backlight.cli.options import PrintOptions
from backlight.cli.output import run_task, warn
from backlight.core.errors import UsageError

if TYPE_CHECKING:
    from backlight.core.progress import Progress
    from backlight.tasks.outcome import Outcome
    from backlight.tasks.pulling import Pulling


@dataclass(frozen=True)
class SweepOptions:
    """Who works on the blocks of a data set."""

    panel: ClassVar[str] = "Processes"
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the blocks in --out; with --force for any page.")
    ] = False
    workers: Annotated[
        int | None, typer.Option(min=1, help="Start N processes that share the blocks, and wait for them.")
    ] = None
    engine: Annotated[str, typer.Option(help="Who starts them: local or ray.")] = "local"
    shard: Annotated[
        str | None, typer.Option(help="K/N: finish this share of the blocks and write no page, as in an array job.")
    ] = None
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what it takes, by a few pictures that are timed, and do nothing else.")
    ] = False
    cents: Annotated[float, typer.Option(min=0.0, help="Price of a core hour in --plan, in cents.")] = 4.0
    worker: Annotated[str | None, typer.Option(hidden=True)] = None

    @property
    def resumes(self) -> bool:
        """Whether what is there may stay: a share is one of many, and a plan writes nothing."""
        return self.resume or self.plan or self.shard is not None

    def given(self) -> tuple[str, ...]:
        """Name the options that are given."""
        return tuple(f"--{name}" for name in ("resume", "workers", "shard", "plan") if getattr(self, name))

    @property
    def pulling(self) -> Pulling:
        """Say who works; torch is imported here and not before."""
        from backlight.core.share import Share
        from backlight.tasks.pulling import Pulling, end_with_parent

        if self.worker is not None:
            end_with_parent()
            return Pulling(part=Share.parse("--worker", self.worker, helps=True))
        if self.shard is not None and self.workers is not None:
            raise UsageError("--shard and --workers", expected="one of the two")
        part = None if self.shard is None else Share.parse("--shard", self.shard)
        return Pulling(self.workers or 0, self.engine, part, tuple(sys.argv[1:]), warn, self.plan, self.cents)


def run_sweep(shown: PrintOptions, sweep: SweepOptions, task: Callable[[Progress | None, Pulling], Outcome]) -> None:
    """Do a task over a data set by whom the options name, and print what came of it as `run_task` does."""
    from backlight.tasks.pulling import pulled

    pulling = sweep.pulling
    run_task(shown, lambda progress: pulled(lambda whose: task(progress, whose), pulling))
