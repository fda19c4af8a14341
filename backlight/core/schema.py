"""What a stored document has to look like: checked when it is read, so that nothing goes on from nonsense."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from backlight.core.errors import FileError, did_you_mean

_SHOWN = 60
_HIGHEST, _LARGEST = 2**63 - 1, int(sys.float_info.max)


class Fault(NamedTuple):
    """A value that does not fit: where it stands, what was found, and what is expected there."""

    place: str
    found: str
    expected: str


Schema = Callable[[Any], Iterator[Fault]]


def require(path: str | os.PathLike[str], value: Any, schema: Schema) -> None:
    """Raise FileError with the first value of a document read from `path` that does not fit a schema.

    >>> require("run.json", {"seed": 3}, record({"seed": whole()}))
    """
    for fault in schema(value):
        raise FileError(path, f"{fault.place or 'it'} is {fault.found}", expected=fault.expected)


def record(
    required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None, *, closed: bool = False
) -> Schema:
    """Expect an object with these keys; others may stand beside them unless it is `closed`.

    >>> [fault.place for fault in record({"a": text(), "b": record({"c": flag()})})({"a": 1, "b": {}})]
    ['a', 'b.c']
    >>> next(record({"metric": text()}, closed=True)({"metrik": "accuracy"}))
    Fault(place='metrik', found='unknown', expected='metric')
    """
    known = {**required, **(optional or {})}

    def check(value: Any) -> Iterator[Fault]:
        if not isinstance(value, Mapping):
            yield Fault("", shown(value), f"an object with {', '.join(required)}")
            return
        for key in value if closed else ():
            if key not in known:
                yield Fault(key, "unknown", did_you_mean(key, known))
        for key, schema in known.items():
            if key in value:
                yield from _below(key, schema(value[key]))
            elif key in required:
                yield Fault(key, "absent", next((fault.expected for fault in schema(None)), "a value"))

    return check


def array(item: Schema, *, lowest: int = 0, highest: int = _HIGHEST) -> Schema:
    """Expect a list of `lowest` to `highest` values that fit `item`.

    >>> [fault.place for fault in array(whole())([1, -2])]
    ['[1]']
    """

    def check(value: Any) -> Iterator[Fault]:
        if not isinstance(value, list | tuple) or not lowest <= len(value) <= highest:
            most = f" to {highest}" if highest < _HIGHEST else " or more"
            yield Fault("", shown(value), "a list" + (f" of {lowest}{most}" if lowest or highest < _HIGHEST else ""))
            return
        for place, one in enumerate(value):
            yield from _below(f"[{place}]", item(one))

    return check


def whole(low: int = 0, high: int = _HIGHEST) -> Schema:
    """Expect a whole number from `low` to `high`, which is what 64 bits hold where it is not said.

    >>> next(whole(1, 9)(0)).expected
    'a whole number from 1 to 9'
    """
    expected = f"a whole number from {low}" + (f" to {high}" if high < _HIGHEST else "")
    return leaf(expected, lambda value: type(value) is int and low <= value <= high)


def number(low: float = -math.inf, *, undefined: bool = False) -> Schema:
    """Expect a number of at least `low`; infinity is one.

    What no float holds is none, nor is "not a number" unless `undefined` allows it.

    >>> list(number(0.0)(math.inf)), next(number()("1")).found, list(number(undefined=True)(math.nan))
    ([], "'1'", [])
    """

    def holds(value: Any) -> bool:
        if type(value) is float and math.isnan(value):
            return undefined
        return type(value) is float and value >= low or type(value) is int and low <= value and abs(value) <= _LARGEST

    return leaf("a number" + (f" from {low:g}" if low > -math.inf else ""), holds)


def finite() -> Schema:
    """Expect a number that is neither infinite nor undefined, and that a float holds.

    >>> len(list(finite()(10**400))), list(finite()(-1.5))
    (1, [])
    """
    return leaf("a finite number", lambda value: type(value) in (int, float) and abs(value) <= _LARGEST)


def text() -> Schema:
    """Expect text."""
    return leaf("text", lambda value: isinstance(value, str))


def flag() -> Schema:
    """Expect true or false."""
    return leaf("true or false", lambda value: isinstance(value, bool))


def choice(*values: str) -> Schema:
    """Expect one of some texts.

    >>> next(choice("a", "b")("c")).expected
    "'a' or 'b'"
    """
    return leaf(" or ".join(map(repr, values)), lambda value: isinstance(value, str) and value in values)


def nullable(schema: Schema) -> Schema:
    """Expect nothing (null), or what a schema expects.

    >>> list(nullable(whole())(None))
    []
    """
    return lambda value: iter(()) if value is None else schema(value)


def either(first: Schema, second: Schema) -> Schema:
    """Expect what one of two schemas expects; where neither fits, the faults of the one that fits better are told.

    >>> schema = either(whole(), array(whole()))
    >>> [list(schema(value)) for value in (3, [3])], next(schema([-3])).place
    ([[], []], '[0]')
    """

    def check(value: Any) -> Iterator[Fault]:
        faults = [list(first(value)), list(second(value))]
        if all(faults):
            deeper = next((found for found in faults if found[0].place), None)
            both = f"{faults[0][0].expected}, or {faults[1][0].expected}"
            yield from deeper or [faults[0][0]._replace(expected=both)]

    return check


def leaf(expected: str, holds: Callable[[Any], bool]) -> Schema:
    """Expect a value of which `holds` is true; `expected` describes it in words."""

    def check(value: Any) -> Iterator[Fault]:
        if not holds(value):
            yield Fault("", shown(value), expected)

    return check


def shown(value: Any) -> str:
    """Show a value in an error, shortened.

    >>> shown({"a": 1}), shown("x" * 100)[-4:], shown(None)
    ('an object', "...'", 'null')
    """
    if value is None:
        return "null"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if isinstance(value, str):
        return repr(value if len(value) <= _SHOWN else value[: _SHOWN - 3] + "...")
    if isinstance(value, bool | float) or (isinstance(value, int) and value.bit_length() < 256):
        return repr(value).lower() if isinstance(value, bool) else repr(value)
    return f"a {type(value).__name__}"


def _below(key: str, faults: Iterator[Fault]) -> Iterator[Fault]:
    for fault in faults:
        place = key + ("" if not fault.place or fault.place.startswith("[") else ".") + fault.place
        yield fault._replace(place=place)
