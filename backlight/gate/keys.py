"""Dotted keys: how a gate says which number of a document it means."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, NamedTuple

from backlight.core.errors import UsageError, did_you_mean

Key = tuple[str | int, ...]

_STEP = re.compile(r"""\[([0-9]{1,9})\]|(?:^|(?<=[\s\S])\.)(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([^."'\[\]][^.\[\]]*))""")
_NAMES = ("name", "value", "path", "id")  # by which an object in a list is called
_DIGITS = 10  # of a number that a place can be
_MOST_NAMES = 1000  # among which a mistyped one is looked for


class Found(NamedTuple):
    """What stands at a key, and what it stands in, outermost first."""

    value: Any
    within: tuple[Any, ...]


def parse_key(text: str) -> Key:
    """Read a key such as `kinds.fog.accuracy[4]`; a name with dots stands in quotes.

    Raises UsageError for anything else.

    >>> parse_key('per_class."St. Bernard".accuracy'), parse_key("kinds.fog.accuracy[4]")
    (('per_class', 'St. Bernard', 'accuracy'), ('kinds', 'fog', 'accuracy', 4))
    """
    parts: list[str | int] = []
    place = 0
    while place < len(text) or not parts:
        step = _STEP.match(text, place)
        if step is None:
            expected = "names with dots between, in quotes where they hold dots, and places as [0]"
            raise UsageError(f"metric {text!r}", expected=expected, hint="""'per_class."St. Bernard".accuracy'""")
        index, double, single, bare = step.groups()
        name = re.sub(r"\\(.)", r"\1", double) if double is not None else single if single is not None else bare
        # Digits without quotes are a place in a list, or a name in an object: `look_up` sees which.
        digits = index if index is not None else bare if bare and bare.isdecimal() and bare.isascii() else None
        parts.append(int(digits) if digits is not None and len(digits) < _DIGITS else name)
        place = step.end()
    return tuple(parts)


def write_key(key: Key) -> str:
    """Write a key so that `parse_key` reads it.

    >>> write_key(("per_class", "St. Bernard", "accuracy"))
    'per_class."St. Bernard".accuracy'
    """
    text = ""
    for part in key:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            bare = bool(part) and not part.isdecimal() and not set(part) & set(".[]") and part[0] not in "\"'"
            escaped = re.sub(r'(["\\])', r"\\\1", part)
            text += ("." if text else "") + (part if bare else f'"{escaped}"')
    return text


def look_up(document: Any, key: Key, where: str) -> Found:
    """Find what stands at a key; in a list, an object is also found by its name.

    Raises UsageError, with near names, where there is nothing; `where` names the document.

    >>> look_up({"kinds": {"fog": {"accuracy": [0.5, 0.25]}}}, ("kinds", "fog", "accuracy", 1), "c.json").value
    0.25
    >>> look_up({"accuracy": 0.5}, ("acuracy",), "e.json")
    Traceback (most recent call last):
    ...
    backlight.core.errors.UsageError: e.json has no acuracy; try: accuracy
    """
    value, within = document, []
    for place, part in enumerate(key):
        within.append(value)
        try:
            value = _below(value, part)
        except LookupError:
            found = f"{where} has no {write_key(key[: place + 1])}"
            raise UsageError(found, hint=_hint(value, part)) from None
    return Found(value, tuple(within))


def _below(value: Any, part: str | int) -> Any:
    if isinstance(value, Mapping):
        return value[str(part)]
    if not isinstance(value, list):
        raise LookupError
    if isinstance(part, int):
        return value[part]
    for name in _NAMES:
        for item in value:
            if isinstance(item, Mapping) and item.get(name) == part:
                return item
    raise LookupError


def _hint(value: Any, part: str | int) -> str:
    names = [str(name) for name in islice(_names(value), _MOST_NAMES)]
    if names and not (isinstance(value, list) and isinstance(part, int)):
        return did_you_mean(str(part), names)
    return f"[0] to [{len(value) - 1}]" if isinstance(value, list) and value else ""


def _names(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value
    items = value if isinstance(value, list) else []
    return (item["name"] for item in items if isinstance(item, Mapping) and "name" in item)
