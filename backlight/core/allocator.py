"""What the C library does with memory that tensors have left."""

from __future__ import annotations

import ctypes
import os
import sys

# glibc's numbers for `mallopt` (malloc.h), with the bytes they are set to.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_LARGEST_KEPT = 2**30
_ROOM_ASKED_FOR = 2**28
_SETTINGS = ((_MMAP_THRESHOLD, _LARGEST_KEPT), (_TRIM_THRESHOLD, _LARGEST_KEPT), (_TOP_PAD, _ROOM_ASKED_FOR))
_OWN_CHOICES = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_", "MALLOC_MMAP_THRESHOLD_")


def keep_memory() -> bool:
    """Have this process keep up to 1 GiB of freed memory for its next tensors, and return whether it will.

    glibc gives every block above its threshold back to the system when it is freed, so each layer of a network on the
    CPU asks for its pages anew, and the system clears them: half of the time of a forward pass of the default model at
    224 pixels. The command line calls this at its start; the library never does by itself. No result changes. It does
    nothing (False) where the C library is not glibc, and where the person has set glibc's allocator in the environment
    (`MALLOC_TRIM_THRESHOLD_` and its like, `GLIBC_TUNABLES`).

    Source: `mallopt(3)` of the Linux manual.

    >>> keep_memory() in (True, False)
    True
    """
    chosen = any(name in os.environ for name in _OWN_CHOICES)
    if not sys.platform.startswith("linux") or chosen or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return False
    program = ctypes.CDLL(None)
    if not hasattr(program, "gnu_get_libc_version"):
        return False
    return all(program.mallopt(number, size) == 1 for number, size in _SETTINGS)
