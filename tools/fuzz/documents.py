"""Edits of JSON: a value replaced by one of another kind, keys that go, come or repeat, nests without end."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from random import Random
from typing import Any

_VALUES = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 10**30, 10**400, 0.5, -0.0, 1e308, float("nan"), float("inf")),
    *("", "x", "..", "../../escaped", "/dev/zero", "file.py:main", "\ud800", "\0", "a" * 300, "9" * 5000),
    *([], {}, [[]], [None], ["x"] * 3, [0.5] * 3, [1] * 5, {"": {}}, {"name": []}, {"x": None}),
)


def edit_json(data: bytes, random: Random) -> bytes:
    """Change one value or key of a JSON document."""
    return json.dumps(edited(json.loads(data), random)).encode()


def edit_lines(data: bytes, random: Random) -> bytes:
    """Change one of several lines, each a JSON document."""
    lines = data.splitlines()
    if lines:
        place = random.randrange(len(lines))
        lines[place] = edit_json(lines[place], random)
    return b"\n".join(lines) + b"\n"


def edited(document: Any, random: Random) -> Any:
    """Return a copy of a document with one change somewhere in it."""
    changed = [copy.deepcopy(document)]
    holder, key = random.choice(list(_places(changed)))
    kind = random.randrange(8)
    if kind == 0 and isinstance(holder, dict):
        del holder[key]
    elif kind == 1 and isinstance(holder, dict):
        holder[random.choice(("", "x", "model", "\ud800", *holder))] = holder.pop(key)
    elif kind == 2 and isinstance(holder[key], list):
        holder[key] = holder[key] * random.choice((0, 2, 1000))
    elif kind == 3 and isinstance(holder[key], int | float):
        holder[key] = random.choice((-1, 10**6, 10**12, 0.5)) * holder[key]
    elif kind == 4:
        holder[key] = _nested(random.choice((10, 500)), random)
    else:
        holder[key] = copy.deepcopy(random.choice(_VALUES))
    return changed[0]


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    keys: Any = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


def _nested(depth: int, random: Random) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value] if random.random() < 0.5 else {"x": value}
    return value
