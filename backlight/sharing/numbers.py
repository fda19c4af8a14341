"""The numbers of a document, each under one name: what trackers and tables of others can hold."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

MOST_NUMBERS = 1000
_ABOUT = {"model", "data", "train", "against", "warnings", "labels", "confusion", "request", "seed", "schema"}
_NAMES = ("name", "kind", "attack", "method", "path")  # by which an object in a list is called
_MOST_PLACES = 64  # of a list without names
_ENDS = ("low", "high")


def numbers_of(document: Any, most: int = MOST_NUMBERS) -> dict[str, float]:
    """Return the finite numbers of a verb's document by name, the outermost first, at most `most` of them.

    Names of keys are joined by `/`; an object in a list goes by its name, a number in a list by its place from 1, the
    ends of an interval are `low` and `high`. What a document says of the model and its data is left out, and so are
    truth values.

    >>> numbers_of({"accuracy": 0.5, "interval": [0.4, 0.6], "per_class": {"cat": {"n": 3}}, "model": {"size": [2, 2]}})
    {'accuracy': 0.5, 'interval/low': 0.4, 'interval/high': 0.6, 'per_class/cat/n': 3.0}
    """
    found: dict[str, float] = {}
    waiting = deque([("", document)])
    while waiting and len(found) < most:
        name, value = waiting.popleft()
        if isinstance(value, int | float) and not isinstance(value, bool):
            if math.isfinite(value):
                found[name] = float(value)
        else:
            waiting.extend((f"{name}/{key}" if name else key, below) for key, below in _below(name, value))
    return found


def _below(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from ((str(key), below) for key, below in value.items() if key not in _ABOUT)
    elif isinstance(value, list) and _is_interval(name, value):
        yield from zip(_ENDS, value)
    elif isinstance(value, list) and len(value) <= _MOST_PLACES:
        yield from ((_called(place, one), one) for place, one in enumerate(value, 1))


def _is_interval(name: str, value: list[Any]) -> bool:
    numbers = all(isinstance(one, int | float) for one in value)
    return len(value) == len(_ENDS) and numbers and "interval" in name.rsplit("/", 1)[-1]


def _called(place: int, value: Any) -> str:
    names = (value[key] for key in _NAMES if isinstance(value.get(key), str)) if isinstance(value, Mapping) else ()
    return next(iter(names), str(place))
