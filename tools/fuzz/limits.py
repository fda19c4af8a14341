"""How much of the machine an input may take, and how much of it a process has."""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path

CPU_SECONDS, WALL_SECONDS = 10, 60
MEMORY = 2**30
"""Bytes of resident memory above what the idle program has."""


def limit_cpu() -> None:
    """Let this process have so many more seconds of processor time."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + CPU_SECONDS + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def forget_peak() -> None:
    """Begin anew with the most memory that this process has had."""
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def peak_pages() -> int:
    """Return the most pages that this process has had."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 // resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 // resource.getpagesize()


def resident_pages(process: int | str) -> int:
    """Return the pages that a process has, 0 where it has just ended."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
