"""Ctrl-C and requests to terminate: one and the same, and between two steps, never in the middle of one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def as_interrupts() -> Iterator[None]:
    """Raise KeyboardInterrupt where the block raises an error that was made of one.

    A native module that is interrupted while it is imported calls that an ImportError.

    >>> try:
    ...     with as_interrupts():
    ...         raise ImportError("initialization failed") from KeyboardInterrupt()
    ... except KeyboardInterrupt:
    ...     print("interrupted")
    interrupted
    """
    try:
        yield
    except Exception as error:
        if _made_of_interrupt(error):
            raise KeyboardInterrupt from error
        raise


def _made_of_interrupt(error: BaseException | None) -> bool:
    seen = set[int]()
    while error is not None and id(error) not in seen:
        if isinstance(error, KeyboardInterrupt):
            return True
        seen.add(id(error))
        error = error.__cause__
    return False


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM raise KeyboardInterrupt in the block, as Ctrl-C does; outside of the main thread nothing changes.

    >>> try:
    ...     with terminated_as_interrupted():
    ...         signal.raise_signal(signal.SIGTERM)
    ... except KeyboardInterrupt:
    ...     print("interrupted")
    interrupted
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with as_interrupts():
            yield
    finally:
        if before is not None:  # None: a handler that is not Python's, which could not be set again
            signal.signal(signal.SIGTERM, before)


@contextmanager
def held_interrupt() -> Iterator[None]:
    """Hold interrupts back until the block has ended; outside of the main thread there are none to hold.

    A SIGTERM that nobody handles ends the process at once, as it always does.

    >>> with held_interrupt():
    ...     done = True
    >>> done
    True
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[tuple[Callable[[int, FrameType | None], object], int, FrameType | None]] = []
    before = {number: handler for number in _SIGNALS if callable(handler := signal.getsignal(number))}
    for number, handler in before.items():
        signal.signal(number, lambda got, frame, handler=handler: held.append((handler, got, frame)))  # type: ignore[misc]
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for handler, got, frame in held[:1]:
        handler(got, frame)
