"""What a pickle would build, looked at before it is built: one of a few bytes can keep its reader busy for ever."""

from __future__ import annotations

import pickletools
from typing import Any, BinaryIO

_PUT, _GET = ("PUT", "BINPUT", "LONG_BINPUT"), ("GET", "BINGET", "LONG_BINGET")
_SHARED = 10
"""How often, on average, what a pickle holds may be met again inside of tuples."""


def check_pickle(stream: BinaryIO, limit: int) -> None:
    """Read past the next pickle of a stream, and raise ValueError where its tuples unfold to far more than it holds, or
    it keeps something at a place far beyond what it holds.

    A tuple of the tuple before, twice, doubles with every few bytes, and whoever hashes it, as a key, visits all of it.
    `limit` is how many values fit.

    >>> import io, pickle
    >>> check_pickle(io.BytesIO(pickle.dumps({(1, 2): 3}, 2)), 100)
    >>> check_pickle(io.BytesIO(b"\\x80\\x02K\\x01q\\x00" + 40 * b"h\\x00h\\x00\\x86q\\x00" + b"."), 100)
    Traceback (most recent call last):
    ...
    ValueError: its tuples unfold to more than 100 values
    """
    stack: list[int | None] = []  # how many values each object holds; None is a mark
    memo: dict[Any, int] = {}
    for opcode, argument, _ in pickletools.genops(stream):
        if opcode.name in _GET:
            stack.append(memo.get(argument, 1))
        elif opcode.name in _PUT:
            if int(str(argument)) > limit:  # readers in C++ make room for all places before it
                raise ValueError(f"it keeps something at place {argument}")
            memo[argument] = (stack[-1] if stack else None) or 1
        elif opcode.name == "MEMOIZE":
            memo[len(memo)] = (stack[-1] if stack else None) or 1
        elif opcode.name == "DUP":
            stack += stack[-1:]
        else:
            _apply(opcode, stack, limit)


def values_of(size: int) -> int:
    """Return how many values a pickle of `size` bytes may unfold to.

    >>> values_of(100)
    11000
    """
    return 10_000 + _SHARED * size


def _apply(opcode: Any, stack: list[int | None], limit: int) -> None:
    taken = _taken(opcode, stack)
    for made in opcode.stack_after:
        if made is pickletools.markobject:
            stack.append(None)
        else:
            # Only tuples are hashed by what they hold; lists and dictionaries cannot be keys.
            stack.append(1 + (sum(taken) if "TUPLE" in opcode.name else 0))
            if (stack[-1] or 0) > limit:
                raise ValueError(f"its tuples unfold to more than {limit} values")


def _taken(opcode: Any, stack: list[int | None]) -> list[int]:
    """Take what an operation takes from the stack: all above the last mark, or a number of objects."""
    taken: list[int] = []
    if pickletools.stackslice in opcode.stack_before:
        while stack and (size := stack.pop()) is not None:
            taken.append(size)
        count = opcode.stack_before.index(pickletools.markobject)
    else:
        count = len(opcode.stack_before)
    for _ in range(min(count, len(stack))):
        taken.append(stack.pop() or 0)
    return taken
