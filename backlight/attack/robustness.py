"""How robust a classifier is on a data set: one table, and every number that follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from backlight.attack.audit import most_broken
from backlight.attack.blocks import SURVIVED, UNDEFINED, WRONG_BEFORE
from backlight.attack.checks import BESIDE, Doubt, judge_table
from backlight.attack.curve import Curve
from backlight.attack.extremes import Extremes, distances_of
from backlight.attack.request import RobustnessRequest
from backlight.attack.survival import Survival
from backlight.attack.trail import COLUMN, QUERIES, quantiles
from backlight.core.display import Displayed
from backlight.core.errors import Failure
from backlight.table import Table
from backlight.table.statistics import wilson


@dataclass(frozen=True)
class Robustness(Displayed):
    """A table with one row per attacked image and the numbers that follow from it.

    `planned` is how many images there were, `audit` (survivors, tested, broken) of an audited run. `failed` names
    pictures that could not be read. `pictures` are the most and the least robust of each class, where the run kept
    its blocks.

    >>> import torch
    >>> from torch import nn
    >>> from backlight import Classifier
    >>> from backlight.attack import evaluate_robustness
    >>> from backlight.data import Dataset
    >>> data = Dataset.of(torch.zeros(4, 3, 8, 8, dtype=torch.uint8), [0, 1, 1, 0], ["a", "b"])
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    >>> classifier = Classifier.from_module(net, size=8, labels=["a", "b"])
    >>> found = evaluate_robustness(classifier, data, RobustnessRequest("fgsm"))
    >>> found.planned, found.clean_accuracy
    (4, 0.5)
    """

    table: Table
    request: RobustnessRequest
    labels: tuple[str, ...]
    planned: int
    audit: tuple[int, int, int] | None = None
    checks: tuple[Doubt, ...] = ()
    curve: Curve | None = None
    failed: tuple[Failure, ...] = ()
    seconds: float = 0.0
    pictures: Extremes | None = None
    survival: Survival | None = None
    unfinished: int = 0
    """How many survivors only the stand-in for the attack was run on, within a budget."""

    @property
    def stands_in_for(self) -> str:
        """Return the published attack that these numbers only approximate, empty where they are what they say."""
        return self.request.card.name if self.unfinished else self.request.card.stands_in_for

    @property
    def name(self) -> str:
        """Name the attack, with what makes it less than the whole."""
        return self.request.name

    @property
    def clean_accuracy(self) -> float:
        """Return the share of images that are right before any attack."""
        return self._share(self.table["prediction"] == self.table["label"])

    @property
    def robust_accuracy(self) -> float:
        """Return the share of images that no attack broke."""
        return self._share(self.table["robust"])

    @property
    def clean_top5(self) -> float:
        """Return the share of images whose label is among the five best classes before any attack."""
        return self._share(self.table["clean_top5"])

    @property
    def robust_top5(self) -> float:
        """Return the share of images whose label is among the five best classes after the attack on the best one."""
        return self._share(self.table["robust_top5"])

    @property
    def interval(self) -> tuple[float, float]:
        """Return the 95% Wilson interval of the robust accuracy; an audited run's reaches down by its bound."""
        return self.intervals["robust"]

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """Return the 95% Wilson intervals of the accuracies: clean, clean_top5, robust, robust_top5."""
        table, count = self.table, len(self.table)
        right = {"clean": table["prediction"] == table["label"], "clean_top5": table["clean_top5"]}
        held = {"robust": table["robust"], "robust_top5": table["robust_top5"]}
        found = {name: wilson(int(good.sum()), count) for name, good in right.items()}
        for name, good in held.items():
            least = max(int(good.sum()) - self.audit_bound, 0)
            found[name] = (wilson(least, count)[0], wilson(int(good.sum()), count)[1])
        return found

    @property
    def audit_bound(self) -> int:
        """Bound, with 95% confidence, how many more images the untested stages would have broken."""
        return 0 if self.audit is None else most_broken(*self.audit) - self.audit[2]

    @cached_property
    def by_attack(self) -> dict[str, float]:
        """Return the accuracy that is left after each attack in turn."""
        names = self.table["broken_by"].tolist()
        left, found = len(names) - names.count(WRONG_BEFORE) - names.count(UNDEFINED), {}
        for stage in self.request.stages():
            left -= names.count(stage.name)
            found[stage.name] = left / max(len(names), 1)
        for name in BESIDE:
            if name in names:
                left -= names.count(name)
                found[name] = left / max(len(names), 1)
        return found

    @cached_property
    def flows(self) -> np.ndarray:
        """Count images by label (rows) and predicted class under attack (columns)."""
        classes = max(
            len(self.labels), int(max(self.table["label"].max(), self.table["attacked_prediction"].max())) + 1
        )
        counts = np.zeros((classes, classes), dtype=np.int64)
        known = self.table["attacked_prediction"] >= 0
        np.add.at(counts, (self.table["label"][known], self.table["attacked_prediction"][known]), 1)
        return counts

    @property
    def smallest(self) -> dict[str, float] | None:
        """Return the smallest change known to fool each image by id, inf for none; None where nothing looked for it.

        A curve and an attack that looks for the nearest success do.
        """
        if self.curve is not None:
            return self.curve.distances
        nearest = self.request.card.minimum_norm and self.request.threat.eps is None
        return distances_of(self.table) if nearest else None

    @property
    def median_smallest(self) -> float | None:
        """Return the median of the smallest changes, over images that were right before; inf where most withstood."""
        known = self.smallest
        if known is None:
            return None
        right = self.table["broken_by"].astype(str) != WRONG_BEFORE
        found = [known.get(name, np.inf) for name, counts in zip(self.table.ids, right) if counts]
        return float(np.median(found)) if found else None

    @property
    def undefined(self) -> np.ndarray:
        """Describe the images that the model has no prediction for, clean or close by: bool `[N]`, none is robust."""
        return (self.table["prediction"] < 0) | (self.table["broken_by"].astype(str) == UNDEFINED)

    @property
    def median_distance(self) -> float | None:
        """Return the median size of the changes that broke an image; None where none was broken."""
        broken = self._broken
        return float(np.median(self.table["distance"][broken])) if broken.any() else None

    @property
    def median_lengths(self) -> dict[str, float] | None:
        """Return the median l2 and linf of the changes that broke an image; None where a norm bounds them."""
        if self.request.threat.own is None or not self._broken.any():
            return None
        return {norm: float(np.median(self.table[norm][self._broken])) for norm in ("l2", "linf")}

    def over_steps(self, steps: Sequence[int]) -> dict[int, float]:
        """Return the accuracy after so many steps of an attack that climbs once, as pgd does, by that attack alone."""
        return self._left_after(self.table["steps"], steps)

    @property
    def over_queries(self) -> dict[int, float] | None:
        """Return the accuracy after so many queries within eps of an attack that reads outputs only, else None."""
        if "queries" not in self.table.names or self.request.threat.eps is None:
            return None
        queries = self.table["queries"]
        most = int(queries.max(initial=0))
        return self._left_after(queries, [*(count for count in (0, *QUERIES) if count < most), most])

    @property
    def distance_over_queries(self) -> dict[int, dict[str, float]] | None:
        """Return the 10%, the median and the 90% smallest change after so many queries, over images that were right.

        Inf where that many were not fooled yet; None for attacks with an eps, and for those that ask for gradients.
        """
        right = self.table["broken_by"].astype(str) != WRONG_BEFORE
        if COLUMN not in self.table.names or not right.any():
            return None
        return quantiles(self.table[COLUMN][right], int(self.table["queries"][right].max()))

    def _left_after(self, when: np.ndarray, counts: Sequence[int]) -> dict[int, float]:
        broken = ~self.table["robust"].astype(bool) & ~np.isin(self.table["broken_by"].astype(str), list(BESIDE))
        return {count: self._share(~(broken & (when <= count))) for count in counts}

    @property
    def _broken(self) -> np.ndarray:
        return ~np.isin(self.table["broken_by"].astype(str), (WRONG_BEFORE, UNDEFINED, SURVIVED))

    @property
    def verdicts(self) -> tuple[Doubt, ...]:
        """Describe what makes the numbers doubtful, with the remedy."""
        found = judge_table(self.table, self.audit, self.audit_bound)
        return (*found, *self.checks, *(() if self.curve is None else self.curve.verdicts))

    def summary_table(self) -> Table:
        """Return a row for the attack, for what its stages leave, and for each size of a curve, with 95% intervals.

        `clean_from` and `clean_to` bound the clean accuracy, `from` and `to` the robust one.
        """
        count, eps = len(self.table), self.request.threat.eps
        rows = [(self.name, eps, self.robust_accuracy, self.interval)]
        stages = {} if self.audit is not None else dict(list(self.by_attack.items())[:-1])
        rows += [(f"after {name}", eps, left, wilson(round(left * count), count)) for name, left in stages.items()]
        if self.curve is not None:
            sizes = zip(self.curve.eps, self.curve.accuracy)
            found = len(self.curve.distances)
            rows += [("smallest change", eps, share, wilson(round(share * found), found)) for eps, share in sizes]
        attacks, sizes_of, shares, bounds = zip(*rows)
        threat, same = self.request.threat, {"n": count, "clean": self.clean_accuracy}
        same |= zip(("clean_from", "clean_to"), self.intervals["clean"])
        return Table.numbered(
            {
                "attack": attacks,
                "norm": [threat.norm] * len(rows),
                "bound": [None if size is None else threat.text(size) for size in sizes_of],
                "eps": sizes_of,
                **{name: [value] * len(rows) for name, value in same.items()},
                "robust": shares,
                "from": [low for low, _ in bounds],
                "to": [high for _, high in bounds],
            }
        )

    def to_json(self) -> dict[str, Any]:
        """Return the document of the verb `robustness`."""
        threat, table = self.request.threat, self.table
        return {
            "n": len(table),
            "planned": self.planned,
            "attack": self.name,
            "stands_in_for": self.stands_in_for or None,
            "mode": self.request.mode,
            "norm": threat.norm,
            "eps": threat.eps,
            "target": None if self.request.chosen.target is None else str(self.request.chosen.target),
            "clean_accuracy": self.clean_accuracy,
            "clean_top5": self.clean_top5,
            "robust_accuracy": self.robust_accuracy,
            "robust_top5": self.robust_top5,
            "interval": list(self.interval),
            "intervals": {name: list(one) for name, one in self.intervals.items()},
            "by_attack": self.by_attack,
            "median_distance": self.median_distance,
            "median_lengths": self.median_lengths,
            "median_smallest": self.median_smallest,
            "survival": None if self.survival is None else self.survival.to_json(),
            "curve": None if self.curve is None else self.curve.to_json(),
            "by_queries": self.over_queries,
            "distance_by_queries": self.distance_over_queries,
            "undecided": [table.ids[row] for row in np.flatnonzero(table["undecided"])],
            "not_finite": [table.ids[row] for row in np.flatnonzero(self.undefined)],
            "forwards": int(table["forwards"].sum()),
            "backwards": int(table["backwards"].sum()),
            "seconds": round(self.seconds, 3),
            "verdicts": [verdict.to_json() for verdict in self.verdicts],
        }

    def _share(self, good: np.ndarray) -> float:
        return float(good.mean()) if len(good) else 0.0
