"""What a document says about one number: its value, its interval, and how many pictures it rests on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backlight.core.errors import FileError, UsageError
from backlight.core.schema import shown
from backlight.gate.keys import Key, look_up, write_key
from backlight.gate.result import Result
from backlight.table.statistics import Z, wilson

NOT_JUDGED = "not judged"
# The number that an object stands for, and that its "interval" is of.
_MAIN = ("value", "share", "mean", "accuracy", "flip_share", "success", "robust_accuracy", "difference")
# Shares of n pictures: where nobody wrote an interval down, the counts make one.
_SHARES = frozenset(
    ("accuracy", "clean_accuracy", "robust_accuracy", "mean_accuracy", "top5", "clean_top5", "robust_top5", "clean",
     "corrupted", "recall", "flip_share", "share", "success")
)  # fmt: skip
_OF_SHARES = frozenset(("by_attack", "by_steps", "groups"))

_PLACES = {
    "class": ("per_class", "evaluate, or corruptions"),
    "slice": ("slices", "evaluate --slice FILE.csv:column"),
    "corruption": ("kinds", "corruptions"),
}
_CLOSE = 1e-9


@dataclass(frozen=True)
class Reading:
    """A number of a document; `value` is None where the verb could not tell, `interval` and `n` where it did not.

    `share` says whether it is written in percent, `binomial` whether it counts pictures among `n`. `judgement` and
    `sentence` are those of a finding, `section` is where it stands.

    >>> Reading(0.5, (0.4, 0.6), 100, True, True, "evaluate").judgement
    ''
    """

    value: float | None
    interval: tuple[float, float] | None
    n: int | None
    share: bool
    binomial: bool
    section: str
    judgement: str = ""
    sentence: str = ""


def measure(result: Result, key: Key) -> Reading:
    """Return what stands at a key, or what a finding of that name says.

    An object stands for its main number, a list of numbers for their mean. Where no interval stands beside a share,
    it is Wilson's of as many pictures. Raises UsageError where there is nothing, FileError where it is no number.

    >>> measure(Result({"n": 10, "accuracy": 0.8}, "e.json"), ("accuracy",)).interval
    (0.4901..., 0.9433...)
    """
    if len(key) == 1 and key[0] in result.findings:
        finding = result.findings[str(key[0])]
        return _finding(result, finding)
    value, within = look_up(result.document, key, result.name)
    if isinstance(value, Mapping):
        main = next((name for name in _MAIN if name in value), None)
        if main is None:
            raise FileError(result.name, f"{write_key(key)} is an object", expected="the key of a number in it")
        value, within, key = value[main], (*within, value), (*key, main)
    return _reading(result, key, value, within)


def _reading(result: Result, key: Key, value: Any, within: Sequence[Any]) -> Reading:
    # The name that owns the number, and its place in a list under that name.
    owner = max((place for place, one in enumerate(within) if isinstance(one, Mapping)), default=-1)
    name, index = (str(key[owner]), key[owner + 1 :]) if owner >= 0 else ("", key)
    number = _mean(result, key, value) if isinstance(value, list) else as_number(result, key, value)
    n = next((_count(result, one["n"]) for one in reversed(within) if isinstance(one, Mapping) and "n" in one), None)
    share = name in _SHARES or (owner > 0 and str(key[owner - 1]) in _OF_SHARES)
    interval = None
    if owner >= 0 and not isinstance(value, list) and len(index) <= 1:
        interval = _interval(result, within[owner], name, index[0] if index else None)
    counts = _wilson(number, n) if share else None
    return Reading(number, interval or counts, n, share, counts is not None, result.verb)


def _finding(result: Result, finding: Mapping[str, Any]) -> Reading:
    name = finding["name"]
    n = finding.get("n")
    words = {key: finding.get(key) for key in ("judgement", "sentence", "section")}
    judgement, sentence, section = (one if isinstance(one, str) else "" for one in words.values())
    value = as_number(result, (name, "value"), finding.get("value"))
    interval, n = _pair(result, (name, "interval"), finding.get("interval")), _count(result, n)
    # Whether a finding's number is a share of its pictures is not said: its interval shows it.
    counts = _wilson(value, n)
    binomial = counts is not None and interval is not None and math.dist(counts, interval) < _CLOSE
    return Reading(
        value, interval, n, finding.get("unit") == "share", binomial, section or result.verb, judgement, sentence
    )


def _wilson(value: float | None, n: int | None) -> tuple[float, float] | None:
    return wilson(round(value * n), n) if n and value is not None and 0 <= value <= 1 else None


def members(result: Result, by: str) -> dict[str, Key]:
    """Return the keys of the classes, slices or corruptions of a document by name.

    Raises UsageError where it has none.

    >>> members(Result({"per_class": {"cat": {"n": 1}}}, "e.json"), "class")
    {'cat': ('per_class', 'cat')}
    """
    name, hint = _PLACES[by]
    found = result.document.get(name) if isinstance(result.document, Mapping) else None
    if isinstance(found, Mapping):
        return {str(one): (name, str(one)) for one in found}
    if isinstance(found, list) and all(isinstance(one, Mapping) for one in found):
        return {_called(one, place): (name, place) for place, one in enumerate(found)}
    raise UsageError(f"{result.name} has nothing by {by}", expected=f"the JSON of {hint}")


def _called(one: Mapping[str, Any], place: int) -> str:
    name = one.get("name", one.get("value"))
    return (name or "(no value)") if isinstance(name, str) else f"[{place}]"


def as_number(result: Result, key: Key, value: Any) -> float | None:
    """Return a number, None for null; raises FileError for anything else."""
    if value is None:
        return None
    if type(value) is int and value.bit_length() < 1000:
        return float(value)
    if type(value) is float and math.isfinite(value):
        return value
    raise FileError(result.name, f"{write_key(key)} is {shown(value)}", expected="a number")


def _mean(result: Result, key: Key, values: list[Any]) -> float | None:
    numbers = [as_number(result, (*key, place), one) for place, one in enumerate(values)]
    known = [one for one in numbers if one is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(numbers) else None


def _count(result: Result, value: Any) -> int | None:
    if value is None or (type(value) is int and 0 <= value < 2**53):
        return value
    raise FileError(result.name, f"n is {shown(value)}", expected="a whole number from 0")


def _interval(
    result: Result, owner: Mapping[str, Any], name: str, index: str | int | None
) -> tuple[float, float] | None:
    short = name.removesuffix("_accuracy")
    several = owner.get("intervals")
    candidates: list[tuple[Key, Any]] = [((one,), owner.get(one)) for one in (f"{name}_interval", f"{short}_interval")]
    if isinstance(several, Mapping):
        candidates += [(("intervals", one), several.get(one)) for one in (name, short)]
    if name in _MAIN:
        candidates.append((("interval",), owner.get("interval")))
    for key, found in candidates:
        if index is not None and isinstance(index, int) and isinstance(found, list) and index < len(found):
            key, found = (*key, index), found[index]
        if found is not None:
            return _pair(result, key, found)
    error = as_number(result, ("standard_error",), owner.get("standard_error")) if name == "mean" else None
    mean = owner.get(name)
    return None if error is None or type(mean) is not float else (mean - Z * error, mean + Z * error)


def _pair(result: Result, key: Key, value: Any) -> tuple[float, float] | None:
    if value is None:
        return None
    if isinstance(value, list) and len(value) == 2:
        low, high = (as_number(result, (*key, place), one) for place, one in enumerate(value))
        if low is None or high is None:
            return None
        if low <= high:
            return low, high
    raise FileError(result.name, f"{write_key(key)} is {shown(value)}", expected="two numbers, the lower one first")
