"""One trial: kill a run, do what a person would do then, and hold the end against the run that was left alone."""

from __future__ import annotations

import random
import shlex
import shutil
import signal
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tools.torture.outputs import differences, leftovers, snapshot, without_clocks
from tools.torture.processes import Ended, Run
from tools.torture.verbs import Verb

KINDS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
_KILLED = {-signal.SIGKILL, -signal.SIGTERM}
INTERRUPTED, MOST_RUNS = 130, 3


@dataclass(frozen=True)
class Alone:
    """The run that was left alone: its words, its files, their sizes, its document, and how long it took."""

    words: tuple[str, ...]
    files: dict[str, bytes]
    sizes: tuple[int, ...]
    document: bytes
    seconds: float


@dataclass
class Trial:
    """What was done and what came of it; it is whole where `wrong` is empty."""

    verb: str
    number: int
    kind: str
    moment: float = 0.0
    ended: str = ""
    then: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, object]:
        """Return plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Bench:
    """Where trials run: always in the same folder, since pages and documents name it."""

    folder: Path

    @property
    def here(self) -> Path:
        """Return the folder in which commands run."""
        return self.folder / "here"

    @property
    def inputs(self) -> Path:
        """Return the folder of models and pictures."""
        return self.folder / "inputs"

    def clear(self) -> None:
        """Empty the folder in which commands run."""
        shutil.rmtree(self.here, ignore_errors=True)
        self.here.mkdir(parents=True)

    def run(self, words: Sequence[str], *, plain: bool = False) -> Ended:
        """Run a command to its end."""
        return Run(words, self.here, plain=plain).finish()

    def alone(self, verb: Verb, number: int, *, plain: bool = False) -> Alone:
        """Run a command that nobody kills."""
        self.clear()
        words = verb.words(number, self.inputs)
        ended = self.run(words, plain=plain)
        if ended.status:
            raise RuntimeError(f"backlight {shlex.join(words)} ends with {ended.status}: {ended.err}")
        sizes = tuple(path.stat().st_size for path in self.here.rglob("*") if path.is_file())
        document = without_clocks("out.json", ended.out.encode())
        return Alone(tuple(words), snapshot(self.here), sizes, document, ended.seconds)

    def begun(self, verb: Verb) -> bool:
        """Whether there is finished work to go on with."""
        return any(True for pattern in verb.finished for _ in self.here.glob(pattern))


def kill(bench: Bench, verb: Verb, alone: Alone, number: int, kills: int, seed: int, *, plain: bool = False) -> Trial:
    """Kill a run at a moment of its own and go on; moments are spread over the whole of it."""
    kind = KINDS[number % len(KINDS)]
    share = (number + random.Random(f"{seed} {verb.name} {number}").random()) / kills
    trial = Trial(verb.name, number, f"{kind.name}{' (plain)' if plain else ''}")
    seconds = alone.seconds
    for _ in range(MOST_RUNS):
        trial.moment = round(share * seconds, 3)
        bench.clear()
        run = Run(alone.words, bench.here, plain=plain)
        ended = run.wait(trial.moment)
        if ended is None:
            run.send(kind)
            ended = run.finish()
            break
        seconds = ended.seconds  # the machine is less busy than it was: the moment came too late
    assert ended is not None
    begun = bench.begun(verb)
    trial.ended = _how(ended)
    if ended.status == 0:
        compare(trial, bench, alone, ended)
        return trial
    if ended.status not in {INTERRUPTED, *_KILLED}:
        trial.wrong.append(f"ended with {ended.status}: {ended.err[-300:]}")
    if "Traceback" in ended.err:
        trial.wrong.append(f"a traceback: {ended.err[-300:]}")
    if ended.status == INTERRUPTED and verb.finished and bool(ended.resume) != begun:
        trial.wrong.append("nothing to go on with, but a command" if ended.resume else "no command to go on with")
    go_on(trial, bench, alone, ended)
    return trial


def go_on(trial: Trial, bench: Bench, alone: Alone, ended: Ended, *, plain: bool = False) -> None:
    """Do what a person would do: the command that was printed, else the same again, else what its refusal hints at."""
    words = shlex.split(ended.resume)[1:] if ended.resume else list(alone.words)
    for _ in range(MOST_RUNS):
        trial.then.append(shlex.join(words[1:] if words[0] == "data" else words)[-60:])
        before, ended = ended, bench.run(words, plain=plain)
        if ended.status == 0:
            compare(trial, bench, alone, ended)
            return
        option = next((one for one in ("--resume", "--force") if one in ended.err and one not in words), None)
        if before.resume or ended.status != 2 or option is None:
            break
        words = [*alone.words, option]
    trial.wrong.append(f"cannot go on ({ended.status}): {ended.err[-300:]}")


def compare(trial: Trial, bench: Bench, alone: Alone, ended: Ended) -> None:
    """Hold a run that has come to its end against the one that was left alone."""
    trial.wrong += differences(alone.files, snapshot(bench.here))
    if without_clocks("out.json", ended.out.encode()) != alone.document:
        trial.wrong.append("the document differs")
    trial.wrong += [f"{name} is left" for name in leftovers(bench.here)]


def _how(ended: Ended) -> str:
    if ended.status == 0:
        return "finished"
    if ended.status < 0:
        return "killed"
    return "interrupted" if ended.status == INTERRUPTED else f"status {ended.status}"
