"""Time and memory of the whole work, said after its first block."""

from __future__ import annotations

import resource
import sys
from dataclasses import dataclass

import torch

from backlight.core.grammar import duration

WORTH_SAYING = 30.0
"""Work that takes fewer seconds is over before an estimate is read."""


@dataclass(frozen=True)
class Estimate:
    """How long the pictures that are left take at the pace of a first block, and the most memory so far, in bytes.

    >>> Estimate(seconds=3600.0, memory=2**30, passes=11_600).text
    'about 60 minutes, 1.0 GiB of memory, at most 11,600 passes a picture'
    """

    seconds: float
    memory: int
    passes: float | None = None

    @classmethod
    def of(cls, seconds: float, done: int, left: int, passes: float | None, device: torch.device) -> Estimate:
        """Estimate from the seconds that `done` pictures took."""
        return cls(seconds / max(1, done) * left, peak_memory(device), passes)

    @property
    def text(self) -> str:
        """Phrase the estimate."""
        words = f"about {duration(self.seconds)}, {self.memory / 2**30:.1f} GiB of memory"
        return words if self.passes is None else f"{words}, at most {self.passes:,.0f} passes a picture"


def peak_memory(device: torch.device) -> int:
    """Return the most memory so far, in bytes: of a GPU, or of this process.

    >>> peak_memory(torch.device("cpu")) > 2**20
    True
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
