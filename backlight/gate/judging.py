"""Gates held against a result."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from backlight.core.errors import UsageError, counted
from backlight.gate.drops import Change, compare_readings, notes, require_same_question
from backlight.gate.gates import AGAINST_BASELINE, FINDINGS, Gate
from backlight.gate.keys import Key
from backlight.gate.measure import NOT_JUDGED, Reading, measure, members
from backlight.gate.result import Result
from backlight.gate.verdict import Judged, Part, Verdict, named, together
from backlight.gate.words import amount, beside, points, readable
from backlight.table.statistics import Z

_LEVEL = 0.05
_ROUNDING = 1e-12  # of means that are computed in another order
_ORDER = ("good", "look", "bad")
# What a verb's document says first, and what a baseline is compared by where no gate says otherwise.
_HEADLINES = ("accuracy", "clean_accuracy", "robust_accuracy", "mean_accuracy")


def check(result: Result, gates: Sequence[Gate] = (), baseline: Result | None = None) -> Verdict:
    """Hold gates against a result, and against a baseline those that ask for one.

    Without gates, an audit passes if no finding is judged bad, and where there is a baseline, the accuracies that a
    document begins with must not have dropped. Raises UsageError for a metric that there is not, for a gate on a drop
    without a baseline, for results of different questions, and where nothing is to be judged; FileError for values
    that are no numbers.

    >>> check(Result({"n": 50, "accuracy": 0.8}, "e.json"), [Gate("accuracy", "min", 0.9)]).passed
    False
    """
    wanted = tuple(gates) or default_gates(result, baseline)
    if baseline is not None:
        require_same_question(result, baseline)
    elif lacking := [gate for gate in wanted if gate.bound in AGAINST_BASELINE]:
        raise UsageError(f"{lacking[0].bound} of {lacking[0].metric}", expected="--baseline OLD.json to compare with")
    told = () if baseline is None else tuple(notes(result, baseline))
    return Verdict(tuple(_judge(gate, result, baseline) for gate in wanted), result.name, told)


def default_gates(result: Result, baseline: Result | None = None) -> tuple[Gate, ...]:
    """Return what is asked of a result without a gate file: no bad finding, and no drop against a baseline.

    Raises UsageError where neither can be asked.

    >>> default_gates(Result({"findings": []}, "audit.json"))[0].metric
    'findings'
    """
    found = [Gate(FINDINGS, "judgement", "look")] if result.verb == "audit" else []
    if baseline is not None:
        both = [name for name in _HEADLINES if _has(result, name) and _has(baseline, name)]
        found += [Gate(name, "max_drop", 0.0) for name in both]
    if not found:
        expected = "a gate file (--gate) with [[gate]], metric = ..., min = ..., or --baseline OLD.json"
        raise UsageError(f"{result.name} holds no judgement of its own", expected=expected)
    return tuple(found)


def _has(result: Result, name: str) -> bool:
    return name in result.findings or (isinstance(result.document, dict) and name in result.document)


@dataclass(frozen=True)
class _One:
    """What came of a gate at one place."""

    reading: Reading
    passed: bool | None
    words: str
    against: dict[str, Any] | None = None


def _judge(gate: Gate, result: Result, baseline: Result | None) -> Judged:
    if gate.bound == "judgement":
        return _by_judgement(gate, result)
    if gate.by is None:
        one = _at(gate, result, baseline, gate.key, _LEVEL)
        reading = one.reading
        sentence = f"{readable(gate.metric)} {one.words}"
        return Judged(gate, reading.section, reading.value, reading.interval, one.passed, sentence, one.against)
    keys = members(result, gate.by)
    # Many tests find something by chance alone: what each has to show rises with their number.
    level = _LEVEL / max(len(keys), 1)
    found = {name: _at(gate, result, baseline, (*key, *gate.key), level) for name, key in keys.items()}
    parts = tuple(_part(name, one) for name, one in found.items())
    passed = together(one.passed for one in parts) if parts else None
    worst = _worst(gate, found)
    shown = found[worst] if worst is not None else None
    return Judged(
        gate,
        result.verb,
        None if shown is None else shown.reading.value,
        None if shown is None else shown.reading.interval,
        passed,
        f"{readable(gate.metric)} by {gate.by}: {_of_parts(parts)}",
        None if shown is None else shown.against,
        parts,
    )


def _part(name: str, one: _One) -> Part:
    return Part(readable(name), one.reading.value, one.reading.interval, one.passed, one.words)


def _of_parts(parts: Sequence[Part]) -> str:
    failed, unknown = ([one for one in parts if one.passed is passed] for passed in (False, None))
    if not parts:
        return "there is none"
    if failed:
        return f"{len(failed)} of {len(parts)} fail: {named([f'{one.name} ({one.words})' for one in failed])}"
    if unknown:
        listed = named([f"{one.name} ({one.words})" for one in unknown])
        return f"{len(unknown)} of {len(parts)} could not be judged: {listed}"
    return f"all {len(parts)} hold"


def _worst(gate: Gate, found: dict[str, _One]) -> str | None:
    known = {name: one for name, one in found.items() if one.reading.value is not None}
    if not known:
        return None
    sign = 1 if gate.bound in ("min", "max_drop") else -1
    change = gate.bound in AGAINST_BASELINE

    def rank(name: str) -> tuple[bool, float]:
        one = known[name]
        value = (one.against or {}).get("difference") if change else one.reading.value
        return one.passed is not False, sign * (value if value is not None else 0.0)

    return min(known, key=rank)


def _at(gate: Gate, result: Result, baseline: Result | None, key: Key, level: float) -> _One:
    reading = measure(result, key)
    if reading.judgement == NOT_JUDGED or reading.value is None:
        return _One(reading, None, f"is not known{': ' + readable(reading.sentence) if reading.sentence else ''}")
    if reading.n is not None and reading.n < gate.pictures:
        words = f"rests on {counted(reading.n, 'picture')}, too few: at least {gate.pictures} are asked for"
        return _One(reading, None, words)
    if gate.bound in AGAINST_BASELINE and baseline is not None:
        return _against(gate, result, baseline, key, reading, level)
    passed, words = _hold(gate, reading, reading.value)
    return _One(reading, passed, words)


def _hold(gate: Gate, reading: Reading, value: float) -> tuple[bool | None, str]:
    """Hold a number, or the worse end of its interval, against a threshold."""
    least, bound = gate.bound == "min", gate.number
    asked = f"{'at least' if least else 'at most'} {amount(bound, reading.share)} is asked for"
    told = f"is {beside(value, bound, reading.share)}{_interval(reading)}"
    if not gate.worse_end:
        return _keeps(value, bound, least), f"{told}; {asked}"
    if reading.interval is None:
        return None, f"{told}, without an interval or counts to make one from"
    low, high = reading.interval
    worse, better = (low, high) if least else (high, low)
    end = f"{'lower' if least else 'upper'} end of the interval"
    if _keeps(worse, bound, least):
        return True, f"{told}; {asked} of the {end}"
    needed = _pictures_needed(bound, least) if reading.share and reading.n else 0
    if reading.n and needed > reading.n and _keeps(better, bound, least):
        few = f"{counted(reading.n, 'picture')} are too few" if reading.n != 1 else "1 picture is too few"
        return None, f"{told}; {few} to show {asked.removesuffix(' is asked for')}: {needed} could"
    return False, f"{told}; {asked} of the {end}"


def _keeps(value: float, bound: float, least: bool) -> bool:
    return value >= bound - _ROUNDING if least else value <= bound + _ROUNDING


def _pictures_needed(bound: float, least: bool) -> int:
    """Return from how many pictures on the best possible result would keep a bound with its worse end; 0 for never."""
    short = bound if least else 1 - bound
    if not 0 < short < 1:
        return 0
    # Wilson's lower end of n out of n is n / (n + z * z).
    return math.ceil(Z * Z * short / (1 - short))


def _interval(reading: Reading) -> str:
    if reading.interval is None:
        return ""
    low, high = (amount(one, reading.share) for one in reading.interval)
    return f" ({low} to {high})"


def _against(gate: Gate, result: Result, baseline: Result, key: Key, reading: Reading, level: float) -> _One:
    falls, before = gate.bound == "max_drop", measure(baseline, key)
    change = compare_readings(result, baseline, key, reading, before, falls=falls)
    if change is None:
        why = (
            "the baseline does not know it"
            if before.value is None
            else "there are no counts and no intervals to compare"
        )
        return _One(reading, None, f"cannot be compared: {why}")
    against = {
        "name": baseline.name,
        "value": change.before,
        "difference": change.difference,
        "interval": list(change.interval),
        "p": change.p,
        "test": change.test,
        "n": change.n,
    }
    passed, words = _moved(gate, change, reading.share, falls, level)
    return _One(reading, passed, words, against)


def _moved(gate: Gate, change: Change, share: bool, falls: bool, level: float) -> tuple[bool | None, str]:
    worse = -change.difference if falls else change.difference
    verb = "fell" if change.difference < 0 else "rose"
    ends = f"from {amount(change.before, share)} to {amount(change.now, share)}"
    pictures = f" on {counted(change.n, 'picture')}" if change.n is not None else ""
    test = f"{change.test}{pictures}, p = {change.p:.2g}"
    told = (
        f"{verb} by {points(change.difference, share)}, {ends}"
        if change.difference
        else f"stayed at {amount(change.now, share)}"
    )
    allowed = f"at most {points(gate.number, share)} is allowed" if gate.number else "none is allowed"
    if worse > gate.number + _ROUNDING and change.p < level:
        return False, f"{told}; {allowed} ({test})"
    if change.least_p >= level:
        return None, f"{told}; too few pictures to tell any change from chance ({test})"
    if worse > gate.number + _ROUNDING:
        return True, f"{told}, which may be chance ({test})"
    return True, f"{told} ({test})"


def _by_judgement(gate: Gate, result: Result) -> Judged:
    if gate.metric != FINDINGS:
        reading = measure(result, gate.key)
        if reading.judgement not in (*_ORDER, NOT_JUDGED):
            raise UsageError(f"{gate.metric} of {result.name} has no judgement", expected="the name of a finding")
        passed, words = _judged(gate, reading)
        sentence = f"{readable(gate.metric)} {words}"
        return Judged(gate, reading.section, reading.value, reading.interval, passed, sentence)
    if result.verb != "audit":
        raise UsageError(f"{result.name} has no findings", expected="the JSON of an audit")
    found = {name: _One(reading := measure(result, (name,)), *_judged(gate, reading)) for name in result.findings}
    parts = tuple(_part(name, one) for name, one in found.items())
    judged = [one.passed for one in parts if one.passed is not None]
    # An audit says itself what it could not look at: that is no reason to hold a build.
    passed = all(judged) if judged else None
    unknown = len(parts) - len(judged)
    rest = f"; {counted(unknown, 'finding')} could not be judged" if unknown and judged else ""
    known = tuple(one for one in parts if one.passed is not None) or parts
    return Judged(gate, "audit", None, None, passed, f"findings: {_of_parts(known)}{rest}", None, parts)


def _judged(gate: Gate, reading: Reading) -> tuple[bool | None, str]:
    sentence = f": {readable(reading.sentence)}" if reading.sentence else ""
    if reading.judgement == NOT_JUDGED:
        return None, f"is not judged{sentence}"
    if reading.judgement not in _ORDER:
        raise UsageError(f"judgement {reading.judgement!r}", expected=f"one of {', '.join(_ORDER)}, {NOT_JUDGED}")
    passed = _ORDER.index(reading.judgement) <= _ORDER.index(str(gate.threshold))
    return passed, f"is judged {reading.judgement}{sentence}"
