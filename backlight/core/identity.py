"""Which process of which machine: its number is given anew after a while, so when it began belongs to it."""

from __future__ import annotations

import socket
from pathlib import Path


def identify(process: int) -> str:
    """Name a process of this machine as no other process of any machine is named.

    >>> import os
    >>> identify(os.getpid()) == identify(os.getpid()), identify(os.getpid()) == identify(os.getppid())
    (True, False)
    """
    return f"{socket.gethostname()}/{process}/{began(process)}"


def began(process: int) -> str:
    """Return when a process began, in the system's own count; nothing where the system does not tell.

    >>> import os
    >>> began(os.getpid()) == began(os.getpid())
    True
    """
    try:
        # The name of the program, in parentheses, may hold spaces: what counts stands after it.
        state, *fields = Path(f"/proc/{process}/stat").read_text("utf-8").rpartition(")")[2].split()
        return "ended" if state in "ZX" else fields[18]
    except (OSError, IndexError, ValueError):
        return ""
