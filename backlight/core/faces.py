"""What rooms show: names that are imported when they are used, and rooms that can be called like their function."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any


def lazy_names(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package that imports each name from its home on first use.

    A home that ends with the name is the module itself.

    >>> find = lazy_names("toy", {"pi": "math", "path": "os.path"})
    >>> round(find("pi"), 2), find("path").__name__ == importlib.import_module("os.path").__name__
    (3.14, True)
    """

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = importlib.import_module(homes[name])
        return module if homes[name].endswith(f".{name}") else getattr(module, name)

    return find


class CallableRoom(ModuleType):
    """A package that is called like one of its functions, for a name that is both a room and a verb.

    So `backlight.explain(classifier, images)` and `from backlight.explain import explain` are the same function,
    whichever of the two a program has imported first.

    >>> room = CallableRoom("toy")
    >>> room.measure, room.__dict__["__called__"] = len, "measure"
    >>> room("abc")
    3
    """

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Call the function."""
        return self._function(*arguments, **options)

    @property
    def __signature__(self) -> inspect.Signature:
        """Return the function's signature, which editors and notebooks show."""
        return inspect.signature(self._function)

    @property
    def _function(self) -> Callable[..., Any]:
        function: Callable[..., Any] = getattr(self, self.__dict__["__called__"])
        return function


def call_room(package: str, function: str) -> None:
    """Let a package be called as its function of this name, which is looked up when it is called."""
    module = sys.modules[package]
    module.__dict__["__called__"] = function
    module.__class__ = CallableRoom
