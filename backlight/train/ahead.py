"""Read what is needed next while the present is worked on."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class ReadAhead(Generic[_Key, _Value]):
    """Call `read` on one thread of its own, ahead of being asked; an exception comes out where its value would.

    >>> squares = ReadAhead(lambda number: number**2)
    >>> squares(3, following=4), squares(4, following=5)
    (9, 16)
    """

    def __init__(self, read: Callable[[_Key], _Value]) -> None:
        self._read, self._begun = read, dict[_Key, Future[_Value]]()
        self._thread = ThreadPoolExecutor(1)

    def __call__(self, key: _Key, following: _Key) -> _Value:
        """Return the value of `key`, and begin to read that of `following`."""
        present = self._begun.pop(key, None) or self._thread.submit(self._read, key)
        if following not in self._begun:
            self._begun[following] = self._thread.submit(self._read, following)
        return present.result()
