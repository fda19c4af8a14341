"""How robust a classifier is on a data set: one table, and every number that follows from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from backlight.attack.adversarial import checked_options, threat_for
from backlight.attack.audit import most_broken
from backlight.attack.blocks import SURVIVED, WRONG_BEFORE
from backlight.attack.catalog import card_of
from backlight.attack.checks import Verdict, judge_table
from backlight.attack.curve import Curve
from backlight.attack.stages import PLANS, Stage
from backlight.attack.threat import ThreatModel
from backlight.data.pictures import Failure
from backlight.errors import UsageError
from backlight.evaluate.metrics import wilson
from backlight.table import Table
from backlight.targets import Target

MODES = ("exact", "audited")


@dataclass(frozen=True)
class RobustnessRequest:
    """Which attack with which options, and how completely: mode `exact` or `audited`, a budget in seconds.

    Audited runs the costly last stages of autoattack (FAB, Square) on `audit` random survivors only and bounds
    what they would have found among all. A budget stops after the block that uses it up. `curve` adds the accuracy
    over eps, `checks` looks for signs of masked gradients on some images. `options` are the attack's own (steps,
    step_size, objective).

    >>> RobustnessRequest("pgd", options={"steps": 10}).mode
    'exact'
    """

    attack: str = "autoattack"
    norm: str | None = None
    eps: float | str | None = None
    target: Target = None
    mode: str = "exact"
    budget: float | None = None
    audit: int = 100
    curve: bool = False
    checks: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def threat(self) -> ThreatModel:
        """Fill in the attack's own norm and eps."""
        return threat_for(card_of(self.attack), self.norm, self.eps)

    @property
    def checked(self) -> dict[str, Any]:
        """Give the attack's options as numbers; raises UsageError for those that it does not understand."""
        return checked_options(card_of(self.attack), self.options)

    def stages(self) -> tuple[Stage, ...]:
        """List the attacks to run one after the other; raises UsageError for a mode that does not fit."""
        if self.mode not in MODES:
            raise UsageError(f"mode {self.mode!r}", expected=" or ".join(MODES))
        if self.mode == "audited" and self.attack != "autoattack":
            raise UsageError(f"an audited {self.attack}", expected="autoattack, whose last stages can be sampled")
        if self.attack in PLANS:
            return tuple(PLANS[self.attack])
        return (Stage(self.attack, card_of(self.attack).function),)


@dataclass(frozen=True)
class Robustness:
    """A table with one row per attacked image and the numbers that follow from it.

    `planned` is how many images there were, `audit` (survivors, tested, broken) of an audited run. `failed` names
    pictures that could not be read.
    """

    table: Table
    request: RobustnessRequest
    labels: tuple[str, ...]
    planned: int
    audit: tuple[int, int, int] | None = None
    checks: tuple[Verdict, ...] = ()
    curve: Curve | None = None
    failed: tuple[Failure, ...] = ()
    seconds: float = 0.0

    @property
    def name(self) -> str:
        """Name the attack, with what makes it less than the whole."""
        request = self.request
        parts = [request.attack, "audited" if request.mode == "audited" else ""]
        parts.append(f"within {request.budget:g} s" if request.budget is not None else "")
        return ", ".join(part for part in parts if part)

    @property
    def clean_accuracy(self) -> float:
        """Give the share of images that are right before any attack."""
        return self._share(self.table["prediction"] == self.table["label"])

    @property
    def robust_accuracy(self) -> float:
        """Give the share of images that no attack broke."""
        return self._share(self.table["robust"])

    @property
    def interval(self) -> tuple[float, float]:
        """Give the 95 % Wilson interval of the robust accuracy; an audited run's reaches down by its bound."""
        robust, count = int(self.table["robust"].sum()), len(self.table)
        low, high = wilson(robust, count)
        return (wilson(max(robust - self.audit_bound, 0), count)[0] if self.audit else low), high

    @property
    def audit_bound(self) -> int:
        """Bound, with 95 % confidence, how many more images the untested stages would have broken."""
        return 0 if self.audit is None else most_broken(*self.audit) - self.audit[2]

    @cached_property
    def by_attack(self) -> dict[str, float]:
        """Give the accuracy that is left after each attack in turn."""
        names = self.table["broken_by"].tolist()
        left, found = len(names) - names.count(WRONG_BEFORE), {}
        for stage in self.request.stages():
            left -= names.count(stage.name)
            found[stage.name] = left / max(len(names), 1)
        return found

    @cached_property
    def flows(self) -> np.ndarray:
        """Count images by label (rows) and predicted class under attack (columns)."""
        classes = max(
            len(self.labels), int(max(self.table["label"].max(), self.table["attacked_prediction"].max())) + 1
        )
        counts = np.zeros((classes, classes), dtype=np.int64)
        np.add.at(counts, (self.table["label"], self.table["attacked_prediction"]), 1)
        return counts

    @property
    def median_distance(self) -> float | None:
        """Give the median size of the changes that broke an image; None where none was broken."""
        broken = self._broken
        return float(np.median(self.table["distance"][broken])) if broken.any() else None

    @property
    def survival(self) -> dict[str, float | None]:
        """Give the share of the images that an attack broke which still fool as PNG, and as JPEG of quality 90."""
        broken = self._broken
        names = {"png": "png_fools", "jpeg": "jpeg_fools"}
        return {kind: float(self.table[name][broken].mean()) if broken.any() else None for kind, name in names.items()}

    def over_steps(self, steps: Sequence[int]) -> dict[int, float]:
        """Give the accuracy after so many steps of an attack that climbs once, as pgd does."""
        when, broken = self.table["steps"], ~self.table["robust"].astype(bool)
        return {count: self._share(~(broken & (when <= count))) for count in steps}

    @property
    def _broken(self) -> np.ndarray:
        return ~np.isin(self.table["broken_by"].astype(str), (WRONG_BEFORE, SURVIVED))

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Say what makes the numbers doubtful, with the remedy."""
        found = judge_table(self.table, self.audit, self.audit_bound)
        return (*found, *self.checks, *(() if self.curve is None else self.curve.verdicts))

    def to_json(self) -> dict[str, Any]:
        """Give the document of the verb `robustness`."""
        threat, table = self.request.threat, self.table
        return {
            "n": len(table),
            "planned": self.planned,
            "attack": self.name,
            "mode": self.request.mode,
            "norm": threat.norm,
            "eps": threat.eps,
            "target": None if self.request.target is None else str(self.request.target),
            "clean_accuracy": self.clean_accuracy,
            "clean_top5": self._share(table["clean_top5"]),
            "robust_accuracy": self.robust_accuracy,
            "robust_top5": self._share(table["robust_top5"]),
            "interval": list(self.interval),
            "by_attack": self.by_attack,
            "median_distance": self.median_distance,
            "survival": self.survival,
            "curve": None if self.curve is None else self.curve.to_json(),
            "undecided": [table.ids[row] for row in np.flatnonzero(table["undecided"])],
            "forwards": int(table["forwards"].sum()),
            "backwards": int(table["backwards"].sum()),
            "seconds": round(self.seconds, 3),
            "verdicts": [verdict.to_json() for verdict in self.verdicts],
        }

    def _share(self, good: np.ndarray) -> float:
        return float(good.mean()) if len(good) else 0.0
