"""One gate at one place: a number held against a threshold, or a change against what is allowed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from backlight.core.errors import UsageError, counted
from backlight.gate.drops import compare_readings
from backlight.gate.gates import AGAINST_BASELINE, Gate
from backlight.gate.keys import Key, write_key
from backlight.gate.measure import NOT_JUDGED, Reading, measure
from backlight.gate.result import Result
from backlight.gate.words import amount, beside, points, readable
from backlight.table.paired import Change
from backlight.table.statistics import Z

_ROUNDING = 1e-12  # of means that are computed in another order


@dataclass(frozen=True)
class Held:
    """What came of a gate at one place: `words` follow its name in a sentence, `short` in brackets."""

    reading: Reading
    passed: bool | None
    words: str
    short: str = ""
    against: dict[str, Any] | None = None


def hold(gate: Gate, result: Result, key: Key, before: tuple[Result, Key] | None, level: float) -> Held:
    """Hold the number at a key against a gate, and against a baseline's where the gate is about a change.

    A change counts where a test finds it at this `level`. Raises UsageError and FileError as `measure` does, and
    UsageError for a threshold in percent.

    >>> hold(Gate("accuracy", "min", 0.9), Result({"accuracy": 0.95}, "e.json"), ("accuracy",), None, 0.05).passed
    True
    """
    reading = measure(result, key)
    if reading.share and abs(gate.number) > 1:
        found = f"{gate.bound} {gate.number:g} of {readable(write_key(key))}"
        raise UsageError(found, expected="a share of 1, as 0.92 for 92%")
    if reading.judgement == NOT_JUDGED or reading.value is None:
        return Held(reading, None, f"is not known{': ' + readable(reading.sentence) if reading.sentence else ''}")
    if reading.n is not None and reading.n < gate.pictures:
        words = f"rests on {counted(reading.n, 'picture')}, too few: at least {gate.pictures} are asked for"
        return Held(reading, None, words)
    if gate.bound in AGAINST_BASELINE:
        return _hold_change(gate, result, key, reading, before, level)
    passed, words = _hold_number(gate, reading, reading.value)
    interval = _interval(reading, ", {} to {}")
    return Held(reading, passed, words, f"{amount(reading.value, reading.share)}{interval}")


def _hold_number(gate: Gate, reading: Reading, value: float) -> tuple[bool | None, str]:
    """Hold a number, or the worse end of its interval, against a threshold."""
    least, bound, asked = gate.bound == "min", gate.number, asked_by(gate, reading.share)
    told = f"is {beside(value, bound, reading.share)}{_interval(reading)}"
    if not gate.worse_end:
        return _keeps(value, bound, least), f"{told}; {asked}"
    if reading.interval is None:
        return None, f"{told}, without an interval or counts to make one from"
    low, high = reading.interval
    worse, better = (low, high) if least else (high, low)
    if _keeps(worse, bound, least):
        return True, f"{told}; {asked}"
    needed = _pictures_needed(bound, least) if reading.share and reading.n else 0
    if reading.n and needed > reading.n and _keeps(better, bound, least):
        few = f"{counted(reading.n, 'picture')} are too few" if reading.n != 1 else "1 picture is too few"
        return None, f"{told}; {few} to show it: {needed} could; {asked}"
    return False, f"{told}; {asked}"


def asked_by(gate: Gate, share: bool) -> str:
    """Describe what a gate asks for.

    >>> asked_by(Gate("accuracy", "min", 0.9), share=True)
    'at least 90% is asked for'
    """
    if gate.bound in AGAINST_BASELINE:
        what = "drop" if gate.bound == "max_drop" else "rise"
        return f"a {what} of {points(gate.number, share)} is allowed" if gate.number else f"no {what} is allowed"
    least = gate.bound == "min"
    end = f" of the {'lower' if least else 'upper'} end" if gate.worse_end else ""
    return f"{'at least' if least else 'at most'} {amount(gate.number, share)} is asked for{end}"


def _keeps(value: float, bound: float, least: bool) -> bool:
    return value >= bound - _ROUNDING if least else value <= bound + _ROUNDING


def _pictures_needed(bound: float, least: bool) -> int:
    """Return from how many pictures on the best possible result would keep a bound with its worse end; 0 for never."""
    short = bound if least else 1 - bound
    if not 0 < short < 1:
        return 0
    # Wilson's lower end of n out of n is n / (n + z * z).
    return math.ceil(Z * Z * short / (1 - short))


def _interval(reading: Reading, form: str = " ({} to {})") -> str:
    if reading.interval is None:
        return ""
    return form.format(*(amount(one, reading.share) for one in reading.interval))


def _hold_change(
    gate: Gate, result: Result, key: Key, reading: Reading, before: tuple[Result, Key] | None, level: float
) -> Held:
    if before is None:
        return Held(reading, None, "cannot be compared: the baseline does not have it")
    baseline, (old, falls) = measure(*before), (before[0], gate.bound == "max_drop")
    if baseline.value is None:
        return Held(reading, None, "cannot be compared: it is not known of the baseline")
    change = compare_readings(result, old, key, reading, baseline, falls=falls)
    if change is None:
        return Held(reading, None, "cannot be compared: there are no tables, no counts and no intervals")
    against = {
        "name": old.name,
        "value": change.before,
        "difference": change.difference,
        "interval": list(change.interval),
        "p": change.p,
        "test": change.test,
        "n": change.n,
    }
    passed, words = _moved(gate, change, reading.share, level)
    short = f"{'-' if change.difference < 0 else '+'}{points(change.difference, reading.share)}, p = {change.p:.2g}"
    return Held(reading, passed, words, short, against)


def _moved(gate: Gate, change: Change, share: bool, level: float) -> tuple[bool | None, str]:
    worse = -change.difference if gate.bound == "max_drop" else change.difference
    test = f"{change.test}{'' if change.n is None else ', ' + counted(change.n, 'picture')}, p = {change.p:.2g}"
    ends = f"from {amount(change.before, share)} to {amount(change.now, share)}"
    verb = "fell" if change.difference < 0 else "rose"
    told = f"{verb} by {points(change.difference, share)}, {ends}"
    if not change.difference:
        told = f"stayed at {amount(change.now, share)}"
    better = worse < 0 and change.p < level
    if change.least_p >= level and not better:
        return None, f"{told}; too few pictures to tell any change from chance ({test})"
    if worse > gate.number + _ROUNDING and change.p < level:
        return False, f"{told} ({test}); {asked_by(gate, share)}"
    chance = ", which may be chance" if worse > gate.number + _ROUNDING else ""
    return True, f"{told}{chance} ({test})"
