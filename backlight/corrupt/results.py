"""What became of one kind of corruption and of one small change, and the mean corruption error over kinds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class KindResult:
    """One kind: accuracy, its 95% intervals, mean confidence and calibration error, a value per severity.

    `mean_interval` is that of the mean over severities.

    >>> KindResult("fog", "weather", True, (1,), (0.5,), ((0.1, 0.9),), (0.7,), (0.2,)).mean
    0.5
    """

    name: str
    group: str
    counted: bool
    severities: tuple[int, ...]
    accuracy: tuple[float, ...]
    interval: tuple[tuple[float, float], ...]
    confidence: tuple[float, ...]
    ece: tuple[float, ...]
    mean_interval: tuple[float, float] = (0.0, 1.0)

    @property
    def mean(self) -> float:
        """Return the mean accuracy over the severities."""
        return float(np.mean(self.accuracy))

    def to_json(self) -> dict[str, Any]:
        """Return `{"accuracy","interval","mean","mean_interval","group","confidence","ece","counted"}`."""
        lists = {name: list(getattr(self, name)) for name in ("accuracy", "confidence", "ece")}
        return {
            **lists,
            "interval": [list(one) for one in self.interval],
            "mean": self.mean,
            "mean_interval": list(self.mean_interval),
            "group": self.group,
            "counted": self.counted,
        }


@dataclass(frozen=True)
class StabilityResult:
    """One small change: the share of changed answers with its interval, overall and by amount, and how far
    the probability of the answer moved.

    >>> StabilityResult("rotate", 0.1, (0.05, 0.2), (0.05, 0.15), 0.03).flip_share
    0.1
    """

    name: str
    flip_share: float
    interval: tuple[float, float]
    by_amount: tuple[float, ...]
    change: float

    def to_json(self) -> dict[str, Any]:
        """Return `{"flip_share","interval","by_amount","mean_change"}`."""
        return {
            "flip_share": self.flip_share,
            "interval": list(self.interval),
            "by_amount": list(self.by_amount),
            "mean_change": self.change,
        }


def mean_corruption_error(kinds: Mapping[str, KindResult], base: Mapping[str, tuple[float, ...]]) -> float | None:
    """Return the mean over kinds of summed errors as a percentage of a base model's (Hendrycks and Dietterich 2019).

    Only published kinds that both have count; None where there is none, or where the base makes no error.

    >>> one = KindResult("fog", "weather", True, (1, 2), (0.5, 0.3), ((0, 1), (0, 1)), (0.5, 0.5), (0.0, 0.0))
    >>> mean_corruption_error({"fog": one}, {"fog": (0.4, 0.2)})
    85.7...
    """
    ratios = []
    for name, one in kinds.items():
        if one.counted and name in base:
            errors = sum(1 - value for value in base[name])
            if errors <= 0:
                return None
            ratios.append(100 * sum(1 - value for value in one.accuracy) / errors)
    return float(np.mean(ratios)) if ratios else None
