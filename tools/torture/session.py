"""All trials of some verbs, one after the other: kills, then places that take no files, then two at once."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tools.torture.places import places, try_place, try_two
from tools.torture.trials import Alone, Bench, Trial, kill
from tools.torture.verbs import Verb, make_inputs

Done = Collection[tuple[str, str, int]]


@dataclass(frozen=True)
class Asked:
    """How many kills of each verb, how many of them of plain processes, from which seed, and whether all the rest."""

    kills: int = 30
    plain: int = 2
    seed: int = 0
    places: bool = True

    @property
    def plain_numbers(self) -> set[int]:
        """Return the numbers of the kills of plain processes, spread over the run."""
        return {(place + 1) * self.kills // (self.plain + 1) for place in range(self.plain)}


def trials(folder: Path, verbs: Sequence[Verb], asked: Asked, done: Done = ()) -> Iterator[Trial]:
    """Yield every trial that is not done yet."""
    bench = Bench(folder)
    make_inputs(bench.inputs)
    for verb in verbs:
        yield from _Session(bench, verb, asked, done).trials()


class _Session:
    """The trials of one verb; what is left alone is run once for each of its commands."""

    def __init__(self, bench: Bench, verb: Verb, asked: Asked, done: Done) -> None:
        self.bench, self.verb, self.asked = bench, verb, asked
        self.done = {(kind, number) for name, kind, number in done if name == verb.name}
        self.known: dict[int, Alone] = {}
        bench.clear()
        self.places = places(bench.here)

    def trials(self) -> Iterator[Trial]:
        for number in range(self.asked.kills):
            if not any(number == known and kind.startswith("SIG") for kind, known in self.done):
                yield self._kill(number)
        if not self.asked.places:
            return
        for number in range(len(self.verb.commands)):
            for place in self.places:
                if (place.name, number) not in self.done:
                    yield try_place(self.bench, self.verb, self._alone(number), number, place)
            if ("two at once", number) not in self.done:
                yield try_two(self.bench, self.verb, self._alone(number), number)

    def _kill(self, number: int) -> Trial:
        plain, alone = number in self.asked.plain_numbers, self._alone(number)
        if plain:
            started = self.bench.alone(self.verb, number, plain=True)
            alone = replace(alone, seconds=started.seconds)
        return kill(self.bench, self.verb, alone, number, self.asked.kills, self.asked.seed, plain=plain)

    def _alone(self, number: int) -> Alone:
        command = number % len(self.verb.commands)
        if command not in self.known:
            self.known[command] = self.bench.alone(self.verb, command)
        return self.known[command]
