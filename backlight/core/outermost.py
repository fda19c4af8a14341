"""Which command was started first: those that it starts, or that its tests do, leave what is shared to it."""

from __future__ import annotations

import os

_COMMAND = "BACKLIGHT_COMMAND"


def claim_outermost() -> None:
    """Note in the environment that this process runs a command, unless one that started it did so before.

    >>> claim_outermost()
    >>> os.environ["BACKLIGHT_COMMAND"].isdecimal()
    True
    """
    os.environ.setdefault(_COMMAND, str(os.getpid()))


def is_outermost() -> bool:
    """Whether no command that is still told of in the environment started this process.

    >>> claim_outermost()
    >>> is_outermost() == (os.environ["BACKLIGHT_COMMAND"] == str(os.getpid()))
    True
    """
    return os.environ.get(_COMMAND, str(os.getpid())) == str(os.getpid())
