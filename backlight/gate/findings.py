"""Findings of an audit held against the worst judgement that passes."""

from __future__ import annotations

from backlight.core.errors import UsageError, counted
from backlight.gate.gates import FINDINGS, Gate
from backlight.gate.measure import Reading, measure
from backlight.gate.result import Result
from backlight.gate.verdict import Judged, Part, together, told_parts
from backlight.gate.words import readable

_ORDER = ("good", "look", "bad")


def judge_findings(gate: Gate, result: Result) -> Judged:
    """Hold one finding, or all of them, against the worst judgement that passes.

    What an audit could not judge itself is no reason to hold a build, unless it is the finding that was asked for.
    Raises UsageError for a document without findings, and for what is none.

    >>> audit = Result({"findings": [{"name": "ece", "value": 0.2, "n": 9, "judgement": "bad"}]}, "audit.json")
    >>> judge_findings(Gate("findings", "judgement", "look"), audit).passed
    False
    """
    if gate.metric != FINDINGS:
        reading = measure(result, gate.key)
        if not reading.judgement:
            raise UsageError(f"{gate.metric} of {result.name} has no judgement", expected="the name of a finding")
        passed, words = _judged(gate, reading)
        sentence = f"{readable(gate.metric)} {words}"
        return Judged(gate, reading.section, reading.value, reading.interval, passed, sentence)
    if result.verb != "audit":
        raise UsageError(f"{result.name} has no findings", expected="the JSON of an audit")
    parts = tuple(_part(gate, name, measure(result, (name,))) for name in result.findings)
    judged = tuple(one for one in parts if one.passed is not None)
    unknown = len(parts) - len(judged)
    rest = f"; {counted(unknown, 'finding')} could not be judged" if unknown and judged else ""
    sentence = f"findings: {told_parts(judged or parts)}{rest}"
    passed = together(one.passed for one in judged) if judged else None
    return Judged(gate, "audit", None, None, passed, sentence, None, parts)


def _part(gate: Gate, name: str, reading: Reading) -> Part:
    passed, words = _judged(gate, reading)
    short = readable(reading.sentence) or words
    return Part(readable(name), reading.value, reading.interval, passed, words, short)


def _judged(gate: Gate, reading: Reading) -> tuple[bool | None, str]:
    sentence = f": {readable(reading.sentence)}" if reading.sentence else ""
    if reading.judgement not in _ORDER:
        return None, f"is not judged{sentence}"
    passed = _ORDER.index(reading.judgement) <= _ORDER.index(str(gate.threshold))
    return passed, f"is judged {reading.judgement}{sentence}"
