"""Where an evaluation of robustness stands while it is under way, in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from backlight.pixels import Result
from backlight.sweep import Part
from backlight.table import Table
from backlight.table.statistics import wilson


@dataclass
class Standing:
    """How many pictures were seen, were right before any attack, and stand still.

    >>> table = Table.of(id=["a", "b"], label=[0, 1], prediction=[0, 1], robust=[True, False])
    >>> Standing().add(Part(table))
    'clean 100.0%, robust 50.0% (9.5 to 90.5)'
    """

    count: int = 0
    right: int = 0
    robust: int = 0
    ids: set[str] = field(default_factory=set)

    def add(self, part: Part) -> str:
        """Count a block, of pictures that are new or of some that stood before, and say where things are."""
        for name, label, prediction, robust in _told(part.table):
            if name not in self.ids:
                self.ids.add(name)
                self.count += 1
                self.right += label == prediction
                self.robust += robust
            elif not robust:
                self.robust -= 1
        return self.words

    @property
    def words(self) -> str:
        """Return the accuracies so far, with the 95% interval of the robust one."""
        if not self.count:
            return ""
        low, high = wilson(self.robust, self.count)
        clean, robust = 100 * self.right / self.count, 100 * self.robust / self.count
        return f"clean {clean:.1f}%, robust {robust:.1f}% ({100 * low:.1f} to {100 * high:.1f})"

    def under_way(self, name: str, result: Result) -> str:
        """Say also how many of the block under way are left after an attack, "" for none."""
        left, count = int((~result.success).sum()), len(result.success)
        words = f"now {left} of {count} stand after {name}" if name else f"now {left} of {count} stand unattacked"
        return f"{self.words}; {words}" if self.count else words


def _told(table: Table) -> Iterator[tuple[str, int, int, bool]]:
    columns = ("label", "prediction", "robust")
    return zip(table.ids, *(table[name].tolist() for name in columns)) if len(table) else iter(())
