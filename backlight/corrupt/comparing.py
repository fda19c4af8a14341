"""Two models under the same corruptions, picture by picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from backlight.core.errors import DataError
from backlight.corrupt.study import CorruptionStudy

_Z = 1.959963984540054  # of the 95% interval


@dataclass(frozen=True)
class PairedDifference:
    """The second model's accuracy minus the first one's on the same pictures, with its 95% interval.

    >>> PairedDifference("fog", 0.6, 0.7, 0.1, (0.02, 0.18)).clear
    True
    """

    name: str
    first: float
    second: float
    difference: float
    interval: tuple[float, float]

    @property
    def clear(self) -> bool:
        """Whether the interval leaves zero out."""
        return not self.interval[0] <= 0 <= self.interval[1]

    def to_json(self) -> dict[str, Any]:
        """Return `{"first","second","difference","interval"}`."""
        numbers = {name: getattr(self, name) for name in ("first", "second", "difference")}
        return {**numbers, "interval": list(self.interval)}


def compare_studies(first: CorruptionStudy, second: CorruptionStudy) -> dict[str, PairedDifference]:
    """Compare two models clean, under each kind (mean over severities), and over all kinds that count.

    The unit is a picture: looks at one picture are averaged before the interval is made, which is the normal one of
    a mean of paired differences. Classes are compared by name.

    Raises DataError for other pictures, kinds or severities.

    >>> from backlight.corrupt.request import CorruptionRequest
    >>> from backlight.table import Table
    >>> table = Table.of(
    ...     {"id": ["a", "b"], "label": [0, 1], "prediction": [0, 1], "confidence": [0.9, 0.8],
    ...      "fog.prediction": [[0], [0]], "fog.confidence": [[0.8], [0.6]]}
    ... )
    >>> study = CorruptionStudy(table, CorruptionRequest.of("fog", severities="1"), ("cat", "dog"))
    >>> compare_studies(study, study)["fog"].difference
    0.0
    """
    if first.request.names != second.request.names or first.request.severities != second.request.severities:
        raise DataError("other kinds or severities", expected="two studies of the same corruptions")
    aligned = CorruptionStudy(second.table.like(first.table), second.request, second.labels)
    pairs = {}
    if first.clean is not None and aligned.clean is not None:
        pairs["clean"] = first.clean.astype(float), aligned.clean.astype(float)
    for name in first.request.names:
        pairs[name] = first.right(name).mean(1), aligned.right(name).mean(1)
    counted = [one.name for one in first.counted]
    if counted:
        pairs["mean"] = tuple(np.mean([pairs[name][place] for name in counted], axis=0) for place in (0, 1))
    return {name: _difference(name, *pair) for name, pair in pairs.items()}


def _difference(name: str, first: np.ndarray, second: np.ndarray) -> PairedDifference:
    apart = second - first
    half = _Z * float(apart.std(ddof=1)) / len(apart) ** 0.5 if len(apart) > 1 else 1.0
    mean = float(apart.mean())
    bounds = max(-1.0, mean - half), min(1.0, mean + half)
    return PairedDifference(name, float(first.mean()), float(second.mean()), mean, bounds)
