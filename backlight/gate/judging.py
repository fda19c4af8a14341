"""Gates held against a result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from backlight.core.errors import UsageError
from backlight.gate.drops import notes, require_same_question
from backlight.gate.findings import judge_findings
from backlight.gate.gates import AGAINST_BASELINE, FINDINGS, Gate
from backlight.gate.holding import Held, asked_by, hold
from backlight.gate.measure import members
from backlight.gate.result import Result
from backlight.gate.verdict import Judged, Part, Verdict, together, told_parts
from backlight.gate.words import readable

SIGNIFICANT = 0.05
"""Below this probability a change is more than chance."""

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
    require_baseline(wanted, baseline is not None)
    if baseline is not None:
        require_same_question(result, baseline)
    told = () if baseline is None else tuple(notes(result, baseline))
    return Verdict(tuple(_judge(gate, result, baseline) for gate in wanted), result.name, told)


def require_baseline(gates: Sequence[Gate], given: bool) -> None:
    """Raise UsageError where a gate is about a change and no baseline is given.

    >>> require_baseline([Gate("accuracy", "min", 0.9)], given=False)
    """
    lacking = [] if given else [gate for gate in gates if gate.bound in AGAINST_BASELINE]
    if lacking:
        raise UsageError(f"{lacking[0].bound} of {lacking[0].metric}", expected="--baseline OLD.json to compare with")


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
    return name in result.findings or (isinstance(result.document, Mapping) and name in result.document)


def _judge(gate: Gate, result: Result, baseline: Result | None) -> Judged:
    if gate.bound == "judgement":
        return judge_findings(gate, result)
    if gate.by is not None:
        return _judge_each(gate, gate.by, result, baseline)
    before = None if baseline is None else (baseline, gate.key)
    held = hold(gate, result, gate.key, before, SIGNIFICANT)
    reading, sentence = held.reading, f"{readable(gate.metric)} {held.words}"
    return Judged(gate, reading.section, reading.value, reading.interval, held.passed, sentence, held.against)


def _judge_each(gate: Gate, by: str, result: Result, baseline: Result | None) -> Judged:
    keys = members(result, by)
    known = members(baseline, by) if baseline is not None and gate.bound in AGAINST_BASELINE else {}
    # Many tests find something by chance alone: what each has to show rises with their number.
    level = SIGNIFICANT / max(len(keys), 1)
    found = {}
    for name, key in keys.items():
        before = (baseline, (*known[name], *gate.key)) if baseline is not None and name in known else None
        found[name] = hold(gate, result, (*key, *gate.key), before, level)
    parts = tuple(_part(name, held) for name, held in found.items())
    title = f"{readable(gate.metric)} by {by}"
    measured = [held for held in found.values() if held.reading.value is not None]
    if not measured:
        return Judged(gate, result.verb, None, None, None, f"{title}: {told_parts(parts)}", None, parts)
    worst = min(measured, key=lambda held: _rank(gate, held))
    passed = together(part.passed for part in parts)
    sentence = f"{title}: {told_parts(parts)}; {asked_by(gate, worst.reading.share)}"
    return Judged(
        gate, result.verb, worst.reading.value, worst.reading.interval, passed, sentence, worst.against, parts
    )


def _part(name: str, held: Held) -> Part:
    reading = held.reading
    return Part(readable(name), reading.value, reading.interval, held.passed, held.words, held.short or held.words)


def _rank(gate: Gate, held: Held) -> tuple[bool, float]:
    """Order what came of a gate, worst first: what failed, then by the number that the gate is about."""
    value = held.reading.value if gate.bound not in AGAINST_BASELINE else (held.against or {}).get("difference", 0.0)
    return held.passed is not False, (1 if gate.bound in ("min", "max_drop") else -1) * (value or 0.0)
