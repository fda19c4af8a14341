"""Options of functions, read from text by the types that the functions declare."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from backlight.core.errors import UsageError, nearest
from backlight.core.grammar import parse_number

WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_EXACT = 2**53  # beyond it floats are no longer every whole number
_KINDS: tuple[type, ...] = (str, bool, float, int)


@dataclass(frozen=True)
class Option:
    """One option of a function: its default, the type that its text is read as, and whether `none` is a value.

    `kind` is str, bool, float or int, or None for an option that only Python can give, such as a tensor.

    >>> Option("steps", 10, int).read("pgd", "20")
    20
    """

    name: str
    default: object
    kind: type | None
    optional: bool = False

    def read(self, owner: str, value: object) -> object:
        """Return a value given as text as the option's type, and any other as it is.

        Raises UsageError for text that does not fit.
        """
        if not isinstance(value, str):
            if self.kind is int and isinstance(value, float) and value != int(value):
                raise self._misfit(owner, value, "a whole number")
            return value
        if self.optional and value.lower() == "none":
            return None
        if self.kind is str:
            return value
        if self.kind is None:
            raise self._misfit(owner, value, "a value that only Python can give")
        if self.kind is bool:
            if value.lower() not in WORDS:
                raise self._misfit(owner, value, "true or false")
            return WORDS[value.lower()]
        try:
            number = parse_number(value)
        except UsageError:
            raise self._misfit(owner, value, "a whole number" if self.kind is int else "a number") from None
        if self.kind is int and (number != int(number) or abs(number) > _EXACT):
            raise self._misfit(owner, value, "a whole number")
        return int(number) if self.kind is int else number

    def _misfit(self, owner: str, value: object, expected: str) -> UsageError:
        such = f", such as {self.default}" if isinstance(self.default, bool | int | float) else ""
        return UsageError(f"{owner}:{self.name}={value}", expected=f"{expected}{such}")


def options_of(function: Callable[..., Any], hidden: Collection[str] = ()) -> dict[str, Option]:
    """List the options of a function by name: its keyword-only parameters that no partial has settled.

    The types are those of the annotations, or of the defaults where there are none.

    >>> def walk(start, *, steps: int = 3, width: float | None = None): ...
    >>> [(one.name, one.kind.__name__, one.optional) for one in options_of(walk).values()]
    [('steps', 'int', False), ('width', 'float', True)]
    """
    settled = function.keywords if isinstance(function, partial) else {}
    hints = _hints(function)
    return {
        name: option(name, parameter.default, hints.get(name))
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and name not in settled and name not in hidden
    }


def option(name: str, default: object, annotation: object = None) -> Option:
    """Return an option with the type of its annotation, or of its default.

    >>> option("samples", 25).kind, option("mask", None).kind
    (<class 'int'>, None)
    """
    members = _members(annotation) if annotation is not None else (type(default),)
    kind = next((one for one in _KINDS if one in members), None)
    return Option(name, default, kind, type(None) in members)


def read_options(
    owner: str, written: Mapping[str, str], given: Mapping[str, Any], known: Mapping[str, Option]
) -> dict[str, Any]:
    """Read options written in a specification and given beside it; those given as None are left out.

    Raises UsageError for unknown options, with the list of all, for values that do not fit, and for an option that
    is given twice with different values.

    >>> def walk(start, *, steps: int = 3, width: float = 1.0): ...
    >>> read_options("walk", {"steps": "5"}, {"width": "1/4"}, options_of(walk))
    {'steps': 5, 'width': 0.25}
    """
    beside = {name: value for name, value in given.items() if value is not None}
    for name in (*written, *beside):
        if name not in known:
            near = " or ".join(nearest(name, known))
            raise UsageError(f"{owner} has no option {name!r}", expected=", ".join(known) or "no options", hint=near)
    found = {name: known[name].read(owner, text) for name, text in written.items()}
    for name, value in beside.items():
        read = known[name].read(owner, value)
        if name in found and found[name] != read:
            raise UsageError(f"{owner}: {name} is given twice, as {found[name]} and {read}", expected="one of them")
        found[name] = read
    return found


def _members(annotation: object) -> tuple[object, ...]:
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        return typing.get_args(annotation)
    return (annotation,)


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    plain = function.func if isinstance(function, partial) else function
    try:
        return typing.get_type_hints(plain)
    except (NameError, TypeError):  # names that only a type checker imports: the defaults say it then
        return {}
