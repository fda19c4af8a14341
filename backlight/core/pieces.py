"""Spans of remote files, read by whole pieces of which the last ones are kept: neighbors come in one request."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass, field

from backlight.core.remote import PIECE, RemoteFile

KEPT = 32
"""How many pieces a reader keeps: 32 MiB."""


@dataclass(frozen=True, eq=False, repr=False)
class Pieces:
    """Read spans of remote files by whole pieces, of which the last ones are kept: neighbors come in one request.

    Several threads may read at once; a piece that one of them is waiting for is not asked for again.
    """

    _kept: OrderedDict[tuple[RemoteFile, int], Future[bytes]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self, file: RemoteFile, start: int, size: int) -> bytes:
        """Return `size` bytes of a file from `start`; raises as `RemoteFile.read` does."""
        if size >= PIECE:
            return file.read(start, size)
        first, last = start // PIECE, max(start, start + size - 1) // PIECE
        found = b"".join(self._piece(file, number) for number in range(first, last + 1))
        return found[start - first * PIECE :][:size]

    def _piece(self, file: RemoteFile, number: int) -> bytes:
        key = file, number
        with self._lock:
            known = self._kept.get(key)
            future = self._kept[key] = known or Future()
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        if known is None:
            try:
                start = number * PIECE
                future.set_result(file.read(start, max(0, min(PIECE, file.size - start))))
            except BaseException as error:
                with self._lock:
                    self._kept.pop(key, None)  # whoever asks next tries again
                future.set_exception(error)
        return future.result()
