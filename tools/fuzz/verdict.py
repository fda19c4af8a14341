"""What came of an input."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """What came of an input: `read`, `refused` (our own error), or a failure with what is known of it.

    `where` tells failures of one kind apart: the type of the exception and the line of the program it came from.
    """

    kind: str
    where: str = ""
    detail: str = ""
    seconds: float = 0.0
    megabytes: float = 0.0

    @property
    def fails(self) -> bool:
        """Whether the program did what it must not do."""
        return self.kind not in ("read", "refused")
