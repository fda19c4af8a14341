"""What came of gates: of each a verdict and a sentence, of all of them one verdict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from backlight.core.errors import counted
from backlight.gate.gates import Gate

_NAMED = 5  # gates, or parts of one, that a line names


@dataclass(frozen=True)
class Part:
    """One class, slice, corruption or finding of a gate; `passed` is None where it could not be judged.

    >>> Part("fog", 0.4, None, False, "is 40%; at least 50% is asked for", "40%").short
    '40%'
    """

    name: str
    value: float | None
    interval: tuple[float, float] | None
    passed: bool | None
    words: str
    short: str

    def to_json(self) -> dict[str, Any]:
        """Return `{"name","value","interval","passed"}`."""
        interval = None if self.interval is None else list(self.interval)
        return {"name": self.name, "value": self.value, "interval": interval, "passed": self.passed}


@dataclass(frozen=True)
class Judged:
    """What came of one gate: `passed` is None where it could not be judged, and `sentence` says why in any case.

    `against` describes the baseline's number and the test, of gates on a drop. Of a gate by class, slice or
    corruption, `parts` are all of them and `value` is the worst one's.

    >>> judged = Judged(Gate("accuracy", "min", 0.9), "evaluate", 0.95, (0.93, 0.97), True, "accuracy is 95%.")
    >>> sorted(judged.to_json())
    ['against', 'bound', 'interval', 'metric', 'passed', 'sentence', 'threshold', 'value']
    """

    gate: Gate
    section: str
    value: float | None
    interval: tuple[float, float] | None
    passed: bool | None
    sentence: str
    against: dict[str, Any] | None = None
    parts: tuple[Part, ...] = ()

    @property
    def title(self) -> str:
        """Return the gate in a few words.

        >>> Judged(Gate("accuracy", "min", 0.9, "class"), "evaluate", None, None, None, "").title
        'accuracy by class: min 0.9'
        """
        gate = self.gate
        by = f" by {gate.by}" if gate.by else ""
        end = ", worse end" if gate.worse_end else ""
        threshold = gate.threshold if isinstance(gate.threshold, str) else f"{gate.threshold:g}"
        return f"{gate.metric}{by}: {gate.bound} {threshold}{end}"

    def to_json(self) -> dict[str, Any]:
        """Return `{"metric","value","interval","threshold","against","passed","sentence","bound"}`, `by`, `parts`."""
        gate = self.gate
        found: dict[str, Any] = {
            "metric": gate.metric,
            "value": self.value,
            "interval": None if self.interval is None else list(self.interval),
            "threshold": gate.threshold,
            "against": self.against,
            "passed": self.passed,
            "sentence": self.sentence,
            "bound": gate.bound,
        }
        if self.parts:
            found |= {"by": gate.by or "finding", "parts": [one.to_json() for one in self.parts]}
        return found


@dataclass(frozen=True)
class Verdict:
    """What came of all gates of a result; `notes` say what to know of the comparison with a baseline.

    >>> Verdict((), "evaluate.json").passed
    True
    """

    judged: tuple[Judged, ...]
    of: str
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool | None:
        """Whether all gates hold: False where one does not, else None where one could not be judged."""
        return together(one.passed for one in self.judged)

    def with_outcome(self, passed: bool | None) -> list[Judged]:
        """List the gates with this outcome."""
        return [one for one in self.judged if one.passed is passed]

    def to_json(self) -> dict[str, Any]:
        """Return the document of the verb `check`: `{"passed","gates"}`."""
        return {"passed": self.passed, "gates": [one.to_json() for one in self.judged], "notes": list(self.notes)}

    def lines(self) -> tuple[str, ...]:
        """Return the summary in three lines: the verdict, what failed or else held, what could not be judged."""
        words = {True: "passed", False: "failed", None: "could not judge"}
        counts = ", ".join(f"{len(found)} {word}" for one, word in words.items() if (found := self.with_outcome(one)))
        head = f"{words[self.passed]}: {self.of}: {counted(len(self.judged), 'gate')}, {counts}"
        failed = self.with_outcome(False)
        told = f"  failed     {_told(failed)}" if failed else f"  held       {_told(self.with_outcome(True)) or 'none'}"
        return head, told, f"  not judged {_told(self.with_outcome(None)) or 'none'}"


def together(passed: Iterable[bool | None]) -> bool | None:
    """Whether all hold: False where one does not, else None where one is not known.

    >>> together([True, None]), together([None, False]), together([])
    (None, False, True)
    """
    found = set(passed)
    return False if False in found else None if None in found else True


def named(names: Sequence[str], most: int = _NAMED) -> str:
    """Name some things, and count the rest.

    >>> named(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def told_parts(parts: Sequence[Part]) -> str:
    """Describe how many parts of a gate hold, and name those that do not.

    >>> told_parts([Part("fog", 0.4, None, False, "is 40%", "40%"), Part("snow", 0.6, None, True, "is 60%", "60%")])
    '1 of 2 fails: fog (40%)'
    """
    for outcome, one, several in ((False, "fails", "fail"), (None, "could not be judged", "could not be judged")):
        found = [f"{part.name} ({part.short})" for part in parts if part.passed is outcome]
        if found:
            return f"{len(found)} of {len(parts)} {one if len(found) == 1 else several}: {named(found)}"
    return f"all {len(parts)} hold" if parts else "there is none"


def _told(found: Sequence[Judged]) -> str:
    return " | ".join([one.sentence for one in found[:_NAMED]]) + (
        f" | and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    )
