"""What came of one change for many pictures: every rate a function of one table with a row per picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from torch import Tensor

from backlight.attack.checks import Doubt
from backlight.attack.universal.change import Change
from backlight.attack.universal.request import UniversalRequest
from backlight.core.display import Displayed
from backlight.core.errors import Failure
from backlight.table import Table
from backlight.table.statistics import paired_interval, wilson

LEARNED, OTHERS = "learned", "others"
PARTS = (LEARNED, OTHERS)
"""The pictures that the change was learned from, and those that it never saw."""

_MOSTLY = 0.5


@dataclass(frozen=True)
class FoolingRate:
    """How often a change fools the model, and how often its control does, of the `n` pictures of a part that count.

    These are named rightly unchanged and, with a target, are not of its class. `difference` is the change's share minus
    the control's, of the same pictures; shares and 95% intervals are None where none counts.

    >>> FoolingRate.of("others", 20, np.ones(10, bool), np.arange(10) < 7, np.arange(10) < 1).to_json()["success"]
    0.7
    """

    part: str
    pictures: int
    clean_accuracy: float
    n: int
    fooled: int
    success: float | None
    interval: tuple[float, float] | None
    control_fooled: int
    control: float | None
    control_interval: tuple[float, float] | None
    difference: float | None
    difference_interval: tuple[float, float] | None

    @classmethod
    def of(cls, part: str, right: int, counts: np.ndarray, fooled: np.ndarray, control: np.ndarray) -> FoolingRate:
        """Work it out from how many are named `right`, and for each picture whether it counts and what fools, `[N]`."""
        n, pictures = int(counts.sum()), len(counts)
        one, other = int((counts & fooled).sum()), int((counts & control).sum())
        more, less = int((counts & fooled & ~control).sum()), int((counts & control & ~fooled).sum())
        share = right / pictures if pictures else 0.0
        if not n:
            return cls(part, pictures, share, 0, 0, None, None, 0, None, None, None, None)
        return cls(
            part, pictures, share,
            n, one, one / n, wilson(one, n),
            other, other / n, wilson(other, n),
            (one - other) / n, paired_interval(more, less, n),
        )  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Return the rate, with that of the control below `control`."""
        control = {"fooled": self.control_fooled, "success": self.control, "interval": _list(self.control_interval)}
        return {
            "pictures": self.pictures,
            "clean_accuracy": self.clean_accuracy,
            "clean_error": 1 - self.clean_accuracy,
            "n": self.n,
            "fooled": self.fooled,
            "success": self.success,
            "interval": _list(self.interval),
            "control": control,
            "difference": self.difference,
            "difference_interval": _list(self.difference_interval),
        }


@dataclass(frozen=True, eq=False)
class UniversalExample:
    """One picture that was not learned from, uint8 [C,H,W], and what the model says of it before and after.

    `confidence` is the probability of the class that is named, before and after.

    >>> import torch
    >>> UniversalExample("cat.png", torch.zeros(3, 2, 2), torch.zeros(3, 2, 2), 0, (0, 1), (0.9, 0.4)).named[1]
    1
    """

    name: str
    original: Tensor
    changed: Tensor
    label: int
    named: tuple[int, int]
    confidence: tuple[float, float]


@dataclass(frozen=True, eq=False)
class UniversalStudy(Displayed):
    """A change, how it was learned, and a table of what the model says of pictures without and with it.

    Columns: `id`, `label`, `part` (`learned` or `others`), the classes that the model names `clean`, `changed` and with
    the `control`, and for a patch its `size`. `course` is `[steps,3]` as in `Learned`, `target` a class or None.
    `examples` are drawn of all pictures that count, `fooled_examples` more of those that were fooled.

    >>> import torch
    >>> from backlight.attack.universal.change import Perturbation
    >>> from backlight.attack.universal.request import PerturbationRequest
    >>> columns = {"id": ["a", "b"], "label": [0, 1], "part": ["others"] * 2, "clean": [0, 1]}
    >>> table = Table.of(columns | {"changed": [1, 1], "control": [0, 1]})
    >>> change = Perturbation(torch.zeros(3, 2, 2), "linf", 0.1)
    >>> UniversalStudy(table, PerturbationRequest(), change, torch.zeros(4, 3)).rate("others").success
    0.5
    """

    table: Table
    request: UniversalRequest
    change: Change
    course: Tensor
    target: int | None = None
    label_names: Sequence[str] = ()
    examples: tuple[UniversalExample, ...] = ()
    fooled_examples: tuple[UniversalExample, ...] = ()
    split: str = "all"
    failed: tuple[Failure, ...] = ()
    seconds: float = 0.0

    @property
    def counts(self) -> np.ndarray:
        """Return which pictures count: named rightly unchanged, and not of the target's class, bool `[N]`."""
        label = self.table["label"]
        right = np.asarray(self.table["clean"] == label)
        return right if self.target is None else right & (label != self.target)

    def fools(self, look: str) -> np.ndarray:
        """Return where the model errs as wanted in a `look`, `changed` or `control`, bool `[N]`."""
        said = self.table[look]
        wanted = said != self.table["label"] if self.target is None else said == self.target
        return np.asarray(wanted & (said >= 0))

    def rate(self, part: str) -> FoolingRate:
        """Work out how often the change fools, of the pictures of a part."""
        return self._rate(part, np.asarray(self.table["part"].astype(str) == part))

    def _rate(self, name: str, within: np.ndarray) -> FoolingRate:
        right = int((self.table["clean"] == self.table["label"])[within].sum())
        changed, control = (self.fools(look)[within] for look in ("changed", "control"))
        return FoolingRate.of(name, right, self.counts[within], changed, control)

    @cached_property
    def rates(self) -> tuple[FoolingRate, ...]:
        """Return the rates of both parts."""
        return tuple(map(self.rate, PARTS))

    def by_size(self, bins: int = 4) -> list[tuple[float, float, FoolingRate]]:
        """Return the rates of other pictures by the size of the patch: from, to, and the rate, in equal ranges."""
        if "size" not in self.table:
            return []
        sizes, others = self.table["size"], np.asarray(self.table["part"].astype(str) == OTHERS)
        edges = np.linspace(sizes.min(), sizes.max(), bins + 1)
        if edges[0] == edges[-1]:
            return []
        place = np.clip(np.searchsorted(edges, sizes, side="right") - 1, 0, bins - 1)
        found = [(edges[one], edges[one + 1], self._rate(OTHERS, others & (place == one))) for one in range(bins)]
        return [(float(low), float(high), rate) for low, high, rate in found if rate.n]

    @property
    def verdicts(self) -> tuple[Doubt, ...]:
        """Tell where learning was blind, and where the change does no more than its control."""
        found, others = [], self.rate(OTHERS)
        blind, steps = int(self.course[:, 2].sum()), len(self.course)
        if blind > _MOSTLY * steps:
            words = f"in {blind} of {steps} steps the gradient was zero all over or NaN, though pictures withstood"
            found.append(Doubt("zero gradients", words, "low rates prove nothing: the model hides its gradients"))
        if others.difference_interval is not None and others.difference_interval[0] <= 0:
            words = "on other pictures the change may fool no more than its control does"
            remedy = "learn longer, from more pictures, or a larger change, and measure on more"
            found.append(Doubt("no better than the control", words, remedy))
        return tuple(found)

    def summary_table(self) -> Table:
        """Return a row per part and look with `n`, `success` and its 95% interval `from` and `to`."""
        rows: list[tuple[object, ...]] = []
        for one in self.rates:
            if one.interval is not None and one.control_interval is not None:
                rows.append((one.part, self.change.kind, one.n, one.success, *one.interval))
                rows.append((one.part, "control", one.n, one.control, *one.control_interval))
        names = ("part", "change", "n", "success", "from", "to")
        return Table.numbered({name: [row[place] for row in rows] for place, name in enumerate(names)})

    def to_json(self) -> dict[str, Any]:
        """Return the document of the verb `universal`."""
        return {
            "n": len(self.table),
            "split": self.split,
            "kind": self.change.kind,
            "target": None if self.target is None else self._name(self.target),
            "clean_accuracy": float((self.table["clean"] == self.table["label"]).mean()),
            "fooling": {one.part: one.to_json() for one in self.rates},
            "steps": len(self.course),
            "verdicts": [one.to_json() for one in self.verdicts],
            "seconds": round(self.seconds, 3),
        }

    def _name(self, index: int) -> str:
        return self.label_names[index] if index < len(self.label_names) else str(index)


def _list(interval: tuple[float, float] | None) -> list[float] | None:
    return None if interval is None else list(interval)
