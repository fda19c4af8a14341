"""What corruptions did to a classifier: every number a function of the table with one row per picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from backlight.core.display import Displayed
from backlight.core.errors import DataError, Failure
from backlight.corrupt.alexnet import ALEXNET_ACCURACY
from backlight.corrupt.registry import FIFTEEN
from backlight.corrupt.request import GROUPS, CorruptionRequest
from backlight.corrupt.results import KindResult, StabilityResult, mean_corruption_error
from backlight.corrupt.severities import table_for
from backlight.corrupt.shifts import SHIFTS
from backlight.evaluate.calibration import reliability
from backlight.table import Table
from backlight.table.statistics import wilson

_IMAGENET = 1000, "tench", "toilet tissue"


@dataclass(frozen=True)
class CorruptionStudy(Displayed):
    """A table with one row per picture: what was said of it clean, under each corruption and after each shift.

    Columns: `id`, `label`, `prediction`, `confidence`; for each kind `KIND.prediction` and `KIND.confidence`, a list
    over the severities; `stability.NAME.prediction` and `.change`, a list over the amounts. Without clean pictures
    the first two predictions are missing. `size` is the height and width of the pictures that were corrupted.

    >>> table = Table.of(
    ...     {"id": ["a", "b"], "label": [0, 1], "prediction": [0, 1], "confidence": [0.9, 0.8],
    ...      "fog.prediction": [[0], [0]], "fog.confidence": [[0.8], [0.6]]}
    ... )
    >>> study = CorruptionStudy(table, CorruptionRequest.of("fog", severities="1"), ("cat", "dog"))
    >>> study.clean_accuracy, study.kinds["fog"].accuracy
    (1.0, (0.5,))
    """

    table: Table
    request: CorruptionRequest
    labels: tuple[str, ...]
    split: str = "all"
    failed: tuple[Failure, ...] = ()
    size: tuple[int, ...] = (224, 224)
    seconds: float = 0.0
    resizes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """In words, the other ways to bring a picture to that size, by kind of change."""

    @cached_property
    def clean(self) -> np.ndarray | None:
        """Return whether each picture is right without corruption, bool `[N]`; None where that is not known."""
        labels = self.table["label"]
        if not self.request.clean or bool((labels < 0).any()):
            return None
        return np.asarray(labels == self.table["prediction"])

    @property
    def clean_accuracy(self) -> float | None:
        """Return the share of pictures that are right without corruption, None where that is not known."""
        return None if self.clean is None else float(self.clean.mean())

    @property
    def reference(self) -> float:
        """Return the accuracy from which losses are counted: the clean one, or 1 where it is not known."""
        return 1.0 if self.clean_accuracy is None else self.clean_accuracy

    @cached_property
    def kinds(self) -> dict[str, KindResult]:
        """Return what became of each kind, in the order asked for."""
        return {card.name: self._kind(card.name, card.group, card.counted) for card in self.request.kinds}

    def right(self, kind: str) -> np.ndarray:
        """Return whether each picture was right under a kind, bool `[N, severities]`."""
        return np.asarray(self.table[f"{kind}.prediction"] == self.table["label"][:, None])

    def _kind(self, name: str, group: str, counted: bool) -> KindResult:
        right, confidence = self.right(name), self.table[f"{name}.confidence"]
        count = len(right)
        calibration = [self._ece(name, place) for place in range(right.shape[1])]
        return KindResult(
            name,
            group,
            counted,
            self.request.severities,
            tuple(right.mean(0).tolist()),
            tuple(wilson(int(one), count) for one in right.sum(0)),
            tuple(np.asarray(confidence, dtype=np.float64).mean(0).tolist()),
            tuple(calibration),
            _over_looks(float(right.mean()), count),
        )

    def _ece(self, kind: str, place: int) -> float:
        columns = {name: self.table[f"{kind}.{name}"][:, place] for name in ("prediction", "confidence")}
        return reliability(Table.of({"id": self.table.ids, "label": self.table["label"], **columns})).ece

    @property
    def counted(self) -> list[KindResult]:
        """Return the kinds that count towards means: the published fifteen as far as they were asked for, or all."""
        published = [one for one in self.kinds.values() if one.counted and one.name in FIFTEEN]
        return published or list(self.kinds.values())

    @property
    def mean_accuracy(self) -> float:
        """Return the mean accuracy over the kinds that count and the severities."""
        return float(np.mean([one.mean for one in self.counted]))

    @property
    def groups(self) -> dict[str, float]:
        """Return the mean accuracy of each group of kinds: of those that count, of all where none of them does."""
        found: dict[str, list[KindResult]] = {}
        for one in self.kinds.values():
            found.setdefault(one.group, []).append(one)
        order = sorted(found, key=lambda name: GROUPS.index(name) if name in GROUPS else len(GROUPS))
        means = {name: [one.mean for one in found[name] if one.counted] for name in order}
        return {name: float(np.mean(means[name] or [one.mean for one in found[name]])) for name in order}

    @property
    def constants(self) -> str:
        """Return whose severities these are: the table `photograph` or `small`, or `stored` where others chose."""
        return "stored" if self.request.stored else self.request.table or table_for(*self.size)

    @property
    def is_imagenet(self) -> bool:
        """Whether the classes are the thousand of ImageNet, by which published errors are weighed."""
        count, first, last = _IMAGENET
        named = len(self.labels) == count and self.labels[0].lower().startswith(first)
        return named and self.labels[-1].lower().startswith(last)

    @property
    def mce(self) -> float | None:
        """Return the mean corruption error in percent of AlexNet's, over the published kinds that were looked at.

        AlexNet's accuracies are RobustBench's on its 5,000 pictures. None unless the classes are ImageNet's and all
        five severities were asked for.
        """
        if not self.is_imagenet or self.request.severities != (1, 2, 3, 4, 5):
            return None
        return mean_corruption_error(self.kinds, ALEXNET_ACCURACY)

    def relative_mce(self, other: CorruptionStudy) -> float | None:
        """Return the mean corruption error in percent of another model's errors on the same kinds and severities.

        Raises DataError where kinds or severities differ.
        """
        if self.request.names != other.request.names or self.request.severities != other.request.severities:
            raise DataError("other kinds or severities", expected="two studies of the same corruptions")
        return mean_corruption_error(self.kinds, {name: one.accuracy for name, one in other.kinds.items()})

    @cached_property
    def stability(self) -> dict[str, StabilityResult]:
        """Return how often small changes changed the answer, by kind of change."""
        ends = ".prediction"
        names = [one.removeprefix("stability.").removesuffix(ends) for one in self.table.names if _is_stability(one)]
        found = {name: self._stable(name) for name in names}
        # Pictures that have the input size already are not resized: nothing was tried.
        return {name: one for name, one in found.items() if one.change != 0 or name in SHIFTS}

    @property
    def amounts(self) -> dict[str, tuple[str, ...]]:
        """Return in words by how much pictures were changed, by kind of change that counts it."""
        side = min(self.size)
        return {
            name: tuple(shift.words.format(amount) for amount in shift.amounts_for(side))
            for name, shift in SHIFTS.items()
        } | dict(self.resizes)

    def _stable(self, name: str) -> StabilityResult:
        before, after = self.table["prediction"][:, None], np.asarray(self.table[f"stability.{name}.prediction"])
        flipped = (after != before) | (after < 0)  # where there is no prediction none stays
        share, count = float(flipped.mean()), len(flipped)
        interval = _over_looks(share, count)
        known = before[:, 0] >= 0
        moved = np.asarray(self.table[f"stability.{name}.change"])[known]
        change = float(np.mean(moved, dtype=np.float64)) if len(moved) else float("nan")
        return StabilityResult(name, share, interval, tuple(flipped.mean(0).tolist()), change)

    @cached_property
    def per_class(self) -> dict[str, tuple[int, float, float]]:
        """Return number of pictures, accuracy as they are and corrupted of each class, steepest fall first.

        Where clean accuracy is not known, 1 stands for it.
        """
        labels = self.table["label"]
        clean = np.ones(len(labels)) if self.clean is None else self.clean
        corrupted = np.mean([self.right(one.name).mean(1) for one in self.counted], axis=0)
        found = {
            self.labels[k]: (
                int((labels == k).sum()),
                float(clean[labels == k].mean()),
                float(corrupted[labels == k].mean()),
            )
            for k in np.unique(labels).tolist()
        }
        return dict(sorted(found.items(), key=lambda item: item[1][2] - item[1][1]))

    def worst_pictures(self, count: int = 12) -> list[tuple[str, int, int]]:
        """Return pictures right when clean that fell most often: id, corruptions that felled it, corruptions tried."""
        clean = np.ones(len(self.table)) if self.clean is None else self.clean
        looks = np.concatenate([self.right(one.name) for one in self.counted], axis=1)
        fallen = (~looks).sum(1)
        rows = sorted(np.flatnonzero(clean).tolist(), key=lambda row: (-fallen[row], row))[:count]
        return [(self.table.ids[row], int(fallen[row]), looks.shape[1]) for row in rows]

    def summary_table(self) -> Table:
        """Return a row for clean pictures, for each kind and severity, and for each small change, with 95% intervals.

        `mean` is what `metric` says: the accuracy, or the share of answers that a small change changed.
        """
        rows: list[tuple[str, str, int | None, float, tuple[float, float]]] = []
        if self.clean is not None and self.clean_accuracy is not None:
            bounds = wilson(int(self.clean.sum()), len(self.table))
            rows.append(("accuracy", "clean", 0, self.clean_accuracy, bounds))
        for kind in self.kinds.values():
            looks = zip(kind.severities, kind.accuracy, kind.interval)
            rows += [("accuracy", kind.name, severity, mean, bounds) for severity, mean, bounds in looks]
        rows += [("changed", one.name, None, one.flip_share, one.interval) for one in self.stability.values()]
        columns: list[tuple[Any, ...]] = list(zip(*rows)) or [()] * 5
        metrics, kinds, severities, means, intervals = columns
        return Table.numbered(
            {
                "metric": metrics,
                "kind": kinds,
                "severity": severities,
                "n": [len(self.table)] * len(rows),
                "mean": means,
                "from": [low for low, _ in intervals],
                "to": [high for _, high in intervals],
            }
        )

    def to_json(self) -> dict[str, Any]:
        """Return the document of the verb `corruptions`."""
        published = [one for one in self.counted if one.name in FIFTEEN]
        known = self.clean is not None
        return {
            "n": len(self.table),
            "split": self.split,
            "clean_accuracy": self.clean_accuracy,
            "clean_interval": None if self.clean is None else list(wilson(int(self.clean.sum()), len(self.table))),
            "mean_accuracy": self.mean_accuracy if self.kinds else None,
            "counted": [one.name for one in self.counted],
            "mce": self.mce if self.kinds else None,
            "mce_kinds": f"{len(published)} of {len(FIFTEEN)}",
            "severities": list(self.request.severities),
            "size": list(self.size),
            "constants": self.constants,
            "groups": self.groups,
            "kinds": {name: one.to_json() for name, one in self.kinds.items()},
            "stability": {name: one.to_json() for name, one in self.stability.items()},
            "per_class": {
                name: {"n": n, "clean": clean if known else None, "corrupted": corrupted}
                for name, (n, clean, corrupted) in (self.per_class.items() if self.kinds else ())
            },
            "seconds": round(self.seconds, 3),
        }


def _over_looks(share: float, count: int) -> tuple[float, float]:
    """Return the interval of a share over several looks at each of `count` pictures.

    Looks at one picture are no independent trials: it is that of as many trials as pictures.
    """
    return wilson(min(max(share, 0.0), 1.0) * count, count)


def _is_stability(name: str) -> bool:
    return name.startswith("stability.") and name.endswith(".prediction")
