"""A finding: one number about a classifier or its data, judged, in one sentence, with what stands behind it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from markupsafe import Markup
from torch import Tensor

from backlight.core.errors import InputError
from backlight.table.paired import PerPicture

Judgement = Literal["good", "look", "bad", "not judged"]
JUDGEMENTS: tuple[Judgement, ...] = ("good", "look", "bad", "not judged")
Unit = Literal["share", "number", "pictures"]
Source = Literal["data", "train", "against"]
Columns = Mapping[str, Sequence[Any]]
"""A table by columns of equal length; a column `id` names pictures, without it rows are numbered."""


@dataclass(frozen=True, eq=False)
class Shown:
    """One picture behind a finding: its id in the data that is named, a caption, and a map `[H,W]` to lie over it.

    Pictures of one `group` (a pair of duplicates, a picture and its neighbors) stand together.

    >>> Shown("cats/7.jpg", "given cat, looks like a dog").source
    'data'
    """

    id: str
    caption: str = ""
    source: Source = "data"
    group: int | None = None
    map: Tensor | None = field(default=None, repr=False)


@dataclass(frozen=True, eq=False)
class Finding:
    """One number with its interval (95%), judged, from `n` pictures; None where there is no number.

    `unit` says how the number is written: a share of 1 as percent, a number, or a count of pictures. `next` is what
    to do about it, `command` a line for a shell that does it, and `gain` what that may bring: the share of pictures
    that it may mend. `pictures` are those behind it, most telling first; `images` are pictures `[C,H,W]` in [0,1] that
    were made, by caption; `tables` and `charts` (SVG of `backlight.page.charts`) are by title. `name` is what a gate
    calls it. `per_picture` is what each picture adds to the number, where it is one of pictures: by it two models are
    compared, and `larger_is_better` says which way is.

    Raises InputError for a judgement or an interval that is none.

    >>> found = Finding("dark_pictures", "health", 0.02, (0.01, 0.04), 500, "good", "10 of 500 pictures are dark.")
    >>> found.to_json()["value"]
    0.02
    """

    name: str
    section: str
    value: float | None
    interval: tuple[float, float] | None
    n: int
    judgement: Judgement
    sentence: str
    pictures: tuple[Shown, ...] = ()
    next: str = ""
    command: str = ""
    unit: Unit = "share"
    gain: float = 0.0
    tables: Mapping[str, Columns] = field(default_factory=dict, repr=False)
    charts: Mapping[str, Markup] = field(default_factory=dict, repr=False)
    images: Mapping[str, Tensor] = field(default_factory=dict, repr=False)
    per_picture: PerPicture | None = field(default=None, repr=False)
    larger_is_better: bool = True

    def __post_init__(self) -> None:
        if self.judgement not in JUDGEMENTS:
            raise InputError(f"judgement {self.judgement!r} of {self.name}", expected=" | ".join(JUDGEMENTS))
        if self.interval is not None and self.interval[0] > self.interval[1]:
            raise InputError(f"interval {self.interval} of {self.name}", expected="the lower end first")
        for title, columns in self.tables.items():
            lengths = {name: len(column) for name, column in columns.items()}
            if len(set(lengths.values())) > 1:
                raise InputError(f"columns of different length in {title!r}: {lengths}", expected="equal lengths")

    def to_json(self) -> dict[str, Any]:
        """Return the finding as contracts name it; numbers that are none are null, pictures are ids."""
        return {
            "name": self.name,
            "section": self.section,
            "value": _finite(self.value),
            "interval": None if self.interval is None else [_finite(end) for end in self.interval],
            "n": self.n,
            "judgement": self.judgement,
            "sentence": self.sentence,
            "pictures": [one.id for one in self.pictures],
            "next": self.next,
            "command": self.command,
            "unit": self.unit,
        }


@dataclass(frozen=True)
class NotChecked:
    """What was not looked at, and why.

    >>> NotChecked("leaked_pictures", "no --train data").to_json()
    {'name': 'leaked_pictures', 'why': 'no --train data'}
    """

    name: str
    why: str
    section: str = ""

    def to_json(self) -> dict[str, str]:
        """Return `{"name", "why"}`."""
        return {"name": self.name, "why": self.why}


def not_judged(name: str, section: str, why: str, n: int = 0) -> Finding:
    """Return a finding that says why there is no judgement.

    >>> not_judged("accuracy", "accuracy", "only 3 pictures", 3).judgement
    'not judged'
    """
    return Finding(name, section, None, None, n, "not judged", why)


def judge(interval: tuple[float, float], *, look: float, bad: float, unsure: float | None = None) -> Judgement:
    """Judge a number by its interval: bad or worth a look only where even the better end lies beyond the limit.

    `look` and `bad` are limits in the direction of what is worse: `bad` above `look` where large is bad, below it where
    small is. So chance alone raises an alarm in about one of forty cases, not in half of those near a limit. Where the
    interval reaches from what is good to beyond `unsure` (`bad`, if left out), it says nothing: not judged.

    >>> judge((0.001, 0.01), look=0.01, bad=0.05), judge((0.06, 0.09), look=0.01, bad=0.05)
    ('good', 'bad')
    >>> judge((0.4, 0.6), look=0.9, bad=0.7), judge((0.0, 0.79), look=0.01, bad=0.05)
    ('bad', 'not judged')
    """
    low, high = interval
    if math.isnan(low) or math.isnan(high):
        return "not judged"
    better, worse, limits = (low, high, (look, bad)) if bad >= look else (-high, -low, (-look, -bad))
    edge = limits[1] if unsure is None else unsure if bad >= look else -unsure
    if better > limits[1]:
        return "bad"
    if better > limits[0]:
        return "look"
    return "not judged" if worse > edge else "good"


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
