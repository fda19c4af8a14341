"""Whether a number fell against a baseline, or only chance makes it look so."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from backlight.core.errors import UsageError
from backlight.gate.keys import Key, write_key
from backlight.gate.measure import Reading
from backlight.gate.paired import per_picture
from backlight.gate.result import Result
from backlight.table.paired import Change, compare_paired
from backlight.table.statistics import Z, unpaired_interval

_SHOWN = 60
# Two results that differ here answer different questions.
_SAME = ("split", "attack", "norm", "eps", "target", "mode", "severities", "size", "method")


def compare_readings(
    result: Result, baseline: Result, key: Key, now: Reading, before: Reading, *, falls: bool = True
) -> Change | None:
    """Compare a number with that of a baseline: picture by picture where tables lie beside both, else by counts.

    Shares of pictures that are paired by id go through McNemar's exact test, other means through a paired bootstrap.
    Without tables Fisher's exact test compares the counts, and intervals alone are taken as those of independent
    normal numbers. `falls` says which way the largest possible change goes. None where nothing tells.

    >>> from backlight.gate.measure import measure
    >>> old, new = (Result({"n": 500, "accuracy": value}, "r.json") for value in (0.43, 0.40))
    >>> key = ("accuracy",)
    >>> round(compare_readings(new, old, key, measure(new, key), measure(old, key)).p, 2)
    0.37
    """
    if now.value is None or before.value is None:
        return None
    ours, theirs = (per_picture(*one) for one in ((result, key, now.value), (baseline, key, before.value)))
    paired = compare_paired(ours, theirs, write_key(key), falls) if ours is not None and theirs is not None else None
    return paired or _by_counts(now, before, falls) or _by_intervals(now, before)


def require_same_question(result: Result, baseline: Result) -> None:
    """Raise UsageError where a baseline is of another part of the data, another attack or other severities.

    >>> require_same_question(Result({"split": "test"}, "new.json"), Result({"split": "val"}, "old.json"))
    Traceback (most recent call last):
    ...
    backlight.core.errors.UsageError: old.json has split val; expected test, as new.json has
    """
    one, other = result.document, baseline.document
    if not isinstance(one, Mapping) or not isinstance(other, Mapping):
        return
    for name in _SAME:
        if name in one and name in other and one[name] != other[name]:
            found = f"{baseline.name} has {name} {_short(other[name])}"
            raise UsageError(found, expected=f"{_short(one[name])}, as {result.name} has")


def notes(result: Result, baseline: Result) -> list[str]:
    """Describe what else differs between a result and its baseline, and does not forbid to compare them.

    >>> notes(Result({"n": 500}, "new.json"), Result({"n": 480}, "old.json"))
    ['the baseline is of 480 pictures, this is of 500']
    """
    found = []
    one, other = (_at(each.document, "n") for each in (result, baseline))
    if one is not None and other is not None and one != other:
        found.append(f"the baseline is of {_short(other)} pictures, this is of {_short(one)}")
    prints = [_at(_at(each.document, "data"), "fingerprint") for each in (result, baseline)]
    if None not in prints and prints[0] != prints[1]:
        found.append("the baseline is of other pictures or labels, as the fingerprints of the data say")
    return found


def _at(document: Any, name: str) -> Any:
    return document.get(name) if isinstance(document, Mapping) else None


def _short(value: Any) -> str:
    text = json.dumps(value) if isinstance(value, list) else str(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def _by_counts(now: Reading, before: Reading, falls: bool) -> Change | None:
    from scipy.stats import fisher_exact

    if not (now.binomial and before.binomial and now.n and before.n):
        return None
    if now.value is None or before.value is None:
        return None
    right, right_before = round(now.value * now.n), round(before.value * before.n)
    if not (0 <= right <= now.n and 0 <= right_before <= before.n):
        return None
    rest = [right_before, before.n - right_before]
    end = [0, now.n] if falls else [now.n, 0]
    p, least_p = (float(fisher_exact([row, rest]).pvalue) for row in ([right, now.n - right], end))
    interval = unpaired_interval((right_before, before.n), (right, now.n))
    return Change(before.value, now.value, interval, p, least_p, "Fisher's exact test on the counts, unpaired", now.n)


def _by_intervals(now: Reading, before: Reading) -> Change | None:
    from scipy.special import ndtr

    if now.value is None or before.value is None or now.interval is None or before.interval is None:
        return None
    half = math.hypot(*((one.interval[1] - one.interval[0]) / 2 for one in (now, before) if one.interval))
    apart = now.value - before.value
    p = float(2 * ndtr(-Z * abs(apart) / half)) if half else float(apart == 0)
    interval = apart - half, apart + half
    return Change(before.value, now.value, interval, p, 0.0, "both intervals, unpaired", now.n)
