"""The modules that a function hides: bound to it, closed over, or found among its globals."""

from __future__ import annotations

import functools
import types
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from torch import nn

_DEEPEST, _MOST = 6, 1000
_PLAIN = (str, bytes, int, float, complex, bool, type(None), type)


def hidden_modules(thing: Any) -> dict[str, nn.Module]:
    """Find the modules that calling `thing` may run, by name; those inside of another are left out.

    Looks through bound methods, partials, closures, defaults, the globals that code names, the attributes of objects
    and lists, tuples and dictionaries of any of these. Of a module it finds those that it holds without registering
    them.

    >>> net = nn.Linear(2, 2)
    >>> hidden_modules(lambda images: net(images))
    {'net': Linear(in_features=2, out_features=2, bias=True)}
    """
    found: dict[int, tuple[str, nn.Module]] = {}
    registered: set[int] = set()
    if isinstance(thing, nn.Module):
        registered = {id(part) for part in thing.modules()}
        for name, part in thing.named_modules():
            _collect(_attributes(part), name, found, {id(part)}, 1)
    else:
        _collect(iter([("", thing)]), "", found, set(), 0)
    inner = {id(part) for _, module in found.values() for part in module.modules() if part is not module}
    names: dict[str, nn.Module] = {}
    for place, (name, module) in found.items():
        if place not in inner | registered:
            names[_free(name.replace(".", "_") or "module", names)] = module
    return names


def _free(name: str, names: Mapping[str, object]) -> str:
    number = 1
    while (free := name if number == 1 else f"{name}{number}") in names:
        number += 1
    return free


def _collect(
    things: Iterator[tuple[str, Any]], owner: str, found: dict[int, tuple[str, nn.Module]], seen: set[int], depth: int
) -> None:
    for name, thing in things:
        if isinstance(thing, _PLAIN) or id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, nn.Module):
            found.setdefault(id(thing), (name or owner, thing))
        elif depth < _DEEPEST:
            _collect(_inside(thing), name or owner, found, seen, depth + 1)


def _inside(thing: Any) -> Iterator[tuple[str, Any]]:
    """List what a function, an object or a container reaches, by name."""
    if isinstance(thing, types.MethodType):
        yield from (("", thing.__self__), ("", thing.__func__))
    elif isinstance(thing, functools.partial):
        yield from (("", thing.func), *(("", one) for one in thing.args), *thing.keywords.items())
    elif isinstance(thing, types.FunctionType):
        yield from _of_function(thing)
    elif isinstance(thing, Mapping):
        yield from ((str(key), value) for key, value in islice(thing.items(), _MOST))
    elif isinstance(thing, list | tuple):
        yield from (("", one) for one in islice(thing, _MOST))
    elif isinstance(thing, types.BuiltinFunctionType | types.ModuleType):
        return
    else:
        yield from _attributes(thing)
        for kind in type(thing).__mro__:
            if isinstance(call := vars(kind).get("__call__"), types.FunctionType):
                yield "", call


def _of_function(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        try:
            yield name, cell.cell_contents
        except ValueError:  # a variable of an outer function that has no value yet
            continue
    yield from (("", one) for one in function.__defaults__ or ())
    yield from (function.__kwdefaults__ or {}).items()
    if hasattr(function, "__wrapped__"):
        yield "", function.__wrapped__
    names = _names(function.__code__)
    for name in sorted(names & function.__globals__.keys()):
        value = function.__globals__[name]
        if isinstance(value, types.ModuleType):
            # As in models.net(images): only what the code names, never all that a library holds.
            yield from ((other, vars(value)[other]) for other in sorted(names & vars(value).keys()))
        else:
            yield name, value


def _names(code: types.CodeType) -> set[str]:
    inner = (constant for constant in code.co_consts if isinstance(constant, types.CodeType))
    return set(code.co_names).union(*map(_names, inner))


def _attributes(thing: Any) -> Iterator[tuple[str, Any]]:
    own = dict(getattr(thing, "__dict__", {}))
    for kind in type(thing).__mro__:
        slots = vars(kind).get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            if hasattr(thing, slot):
                own.setdefault(slot, getattr(thing, slot))
    ours = ("_parameters", "_buffers", "_modules") if isinstance(thing, nn.Module) else ()
    yield from ((name, value) for name, value in own.items() if name not in ours)
