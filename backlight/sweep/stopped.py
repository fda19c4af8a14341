"""Why a sweep ends without rows: it was asked for a share of the blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from backlight.core.share import Share
from backlight.sweep.parts import GivenUp


@dataclass
class ShareDone(Exception):
    """The blocks of a share have parts, and what follows needs those of other shares.

    >>> print(ShareDone("evaluate photos", Share(1, 4), own=25, done=50, blocks=100))
    evaluate photos: share 2/4 is done (25 blocks); 50 of 100 blocks are finished
    """

    task: str
    share: Share
    own: int
    done: int
    blocks: int
    failed: tuple[GivenUp, ...] = ()

    def __str__(self) -> str:
        finished = f"{self.done:,} of {self.blocks:,} blocks are finished"
        return f"{self.task}: share {self.share} is done ({self.own:,} blocks); {finished}"

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "task": self.task,
            "shard": str(self.share),
            "own": self.own,
            "done": self.done,
            "blocks": self.blocks,
            "failed": sum(len(one.ids) for one in self.failed),
        }
