"""How many bytes of decoded pictures may be in memory at once, whatever the number of threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

DECODED_LIMIT = 768 * 2**20
"""Bytes of decoded pixels: one picture that needs more is refused, and several wait for each other."""


class Budget:
    """Bytes that threads take before they decode a picture, and give back when they are done with it.

    >>> budget = Budget(100)
    >>> with budget.shared():
    ...     budget.take(60)
    ...     budget.held
    60
    >>> budget.held
    0
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.held = limit, 0
        self._changed = threading.Condition()
        self._mine = threading.local()

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Hold what this thread takes inside of the block until its end; of nested blocks the outermost counts."""
        if getattr(self._mine, "taken", None) is not None:
            yield
            return
        self._mine.taken = 0
        try:
            yield
        finally:
            with self._changed:
                self.held -= self._mine.taken
                self._changed.notify_all()
            self._mine.taken = None

    def take(self, count: int) -> None:
        """Take some bytes, and wait for those that other threads hold where they do not fit beside them.

        A thread that holds some already never waits, or two of them would wait for each other. Outside of `shared`
        nothing is held: who decodes one picture after the other is bounded by the limit of one.
        """
        mine = getattr(self._mine, "taken", None)
        if mine is None:
            return
        with self._changed:
            self._changed.wait_for(lambda: mine or not self.held or self.held + count <= self.limit)
            self.held += count
            self._mine.taken = mine + count


DECODING = Budget(DECODED_LIMIT)
"""The budget of this process: memory belongs to all of its threads."""
