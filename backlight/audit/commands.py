"""Commands to copy: how a command line names what is audited, so that a next step is one line."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import PurePath

from backlight.core.escaping import shell_command


class Stand(Enum):
    """What stands in a command for the options of an audit: its model, its data, the part of the data."""

    MODEL = "model"
    DATA = "data"
    PART = "part"


MODEL, DATA, PART = Stand


@dataclass(frozen=True)
class CommandWords:
    """The options by which a command line names the model, the data and the part of it; results go below `out`.

    >>> words = CommandWords(("--model", "my run"), ("--data", "photos/"), (), "audit")
    >>> words.command("calibrate", MODEL, DATA)
    "backlight calibrate --model 'my run' --data photos/ --out audit/calibrate"
    """

    model: tuple[str, ...]
    data: tuple[str, ...]
    part: tuple[str, ...] = ()
    out: str = "backlight-out"

    def command(self, verb: str, *words: str | Stand) -> str:
        """Write a command that may be copied into a shell; what it makes goes into a folder named by the verb."""
        named = [one for word in words for one in (getattr(self, word.value) if isinstance(word, Stand) else (word,))]
        return shell_command(["backlight", verb, *named, "--out", PurePath(self.out, verb)])
