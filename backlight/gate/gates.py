"""Gates: what a result has to hold, and the file that they stand in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backlight.core.errors import FileError, UsageError
from backlight.core.reading import read_toml
from backlight.core.schema import array, choice, finite, leaf, record, text, whole
from backlight.gate.keys import Key, parse_key

BOUNDS = ("min", "max", "max_drop", "max_rise", "judgement")
AGAINST_BASELINE = ("max_drop", "max_rise")
GROUPS = ("class", "slice", "corruption")
FINDINGS = "findings"
"""The metric that stands for every finding of an audit."""

_EXPECTED = 'a gate file: rows [[gate]] with metric = "accuracy" and min = 0.9'
_FINITE = finite()
_ROW = record(
    {"metric": text()},
    {
        **dict.fromkeys(("min", "max"), _FINITE),
        **dict.fromkeys(AGAINST_BASELINE, leaf("a number from 0", lambda value: not [*_FINITE(value)] and value >= 0)),
        "judgement": choice("good", "look"),
        "by": choice(*GROUPS),
        "confidence": choice("lower"),
        "against": choice("baseline"),
        "pictures": whole(1),
    },
    closed=True,
)
_FILE = record({"gate": array(_ROW, lowest=1)}, closed=True)


@dataclass(frozen=True)
class Gate:
    """One row: a metric, and the bound that it has to keep.

    `metric` is the name of a finding or a dotted key; `bound` is `min`, `max`, `max_drop`, `max_rise` (against the
    baseline) or `judgement` (the worst that passes), `threshold` its value. `by` asks it of each class, slice or
    corruption. With `worse_end` the interval's lower end has to keep a `min`, its upper end a `max`. Fewer than
    `pictures` cannot be judged.

    >>> Gate("accuracy", "min", 0.9).key
    ('accuracy',)
    """

    metric: str
    bound: str
    threshold: float | str
    by: str | None = None
    worse_end: bool = False
    pictures: int = 1

    @property
    def key(self) -> Key:
        """Return the parts of the metric; raises UsageError for one that is no key."""
        return parse_key(self.metric)

    @property
    def number(self) -> float:
        """Return the threshold of a bound that is a number."""
        return float(self.threshold)


def read_gates(path: str | os.PathLike[str]) -> tuple[Gate, ...]:
    """Read a gate file: TOML with rows `[[gate]]`.

    Raises FileError for anything else: unknown keys with near names, wrong values, bounds that do not go together.

    >>> import tempfile
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp()) / "gate.toml"
    >>> _ = path.write_text('[[gate]]\\nmetric = "accuracy"\\nmin = 0.9\\nconfidence = "lower"\\n')
    >>> read_gates(path)
    (Gate(metric='accuracy', bound='min', threshold=0.9, by=None, worse_end=True, pictures=1),)
    """
    document = read_toml(path, expected=_EXPECTED)
    if isinstance(document.get("gate"), Mapping):
        raise FileError(path, "has one table [gate]", expected="rows: [[gate]] above each")
    for fault in _FILE(document):
        raise FileError(path, f"{fault.place or 'it'} is {fault.found}", expected=fault.expected)
    return tuple(_gate(row, f"gate[{place}]", path) for place, row in enumerate(document["gate"]))


def _gate(row: Mapping[str, Any], place: str, path: str | os.PathLike[str]) -> Gate:
    bounds = [name for name in BOUNDS if name in row]
    if len(bounds) != 1:
        found = f"{place} has {' and '.join(bounds) or 'no bound'}"
        raise FileError(path, found, expected=f"one of {', '.join(BOUNDS)}", hint="a row for each" if bounds else "")
    bound = bounds[0]
    if (bound in AGAINST_BASELINE) != ("against" in row):
        raise FileError(path, f"{place} has {bound}", expected=_needs(bound))
    if "confidence" in row and bound not in ("min", "max"):
        raise FileError(path, f"{place} has {bound} and confidence", expected="confidence beside min or max alone")
    if bound == "judgement" and "by" in row:
        raise FileError(path, f"{place} has judgement and by", expected="the name of a finding, or 'findings' for all")
    try:
        parse_key(row["metric"])
    except UsageError as error:
        raise FileError(path, f"{place} has the {error.found}", expected=error.expected, hint=error.hint) from error
    return Gate(row["metric"], bound, row[bound], row.get("by"), "confidence" in row, row.get("pictures", 1))


def _needs(bound: str) -> str:
    return (
        'against = "baseline" beside it' if bound in AGAINST_BASELINE else "against beside max_drop or max_rise alone"
    )
