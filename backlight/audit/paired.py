"""Two models, finding by finding: what each picture adds to a number, compared picture by picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from backlight.audit.finding import Columns, Finding, Judgement, Unit
from backlight.audit.words import number_of
from backlight.table.paired import PerPicture, compare_paired

_LEVEL = 0.05
WORDS = ("better", "worse", "no difference shown")
"""What a second model is, by one finding."""


@dataclass(frozen=True)
class PairedFinding:
    """One finding of two models on the same `n` pictures: both numbers, the second minus the first, and a word.

    >>> PairedFinding("accuracy", "share", 0.8, 0.9, (0.05, 0.15), 0.001, 500, "McNemar's exact test", "better").word
    'better'
    """

    name: str
    unit: Unit
    first: float
    second: float
    interval: tuple[float, float]
    p: float
    n: int
    test: str
    word: str

    @property
    def difference(self) -> float:
        """Return the second number minus the first."""
        return self.second - self.first


def values_of(
    ids: Sequence[str] | np.ndarray, values: np.ndarray, statistic: Callable[[np.ndarray], float] | None = None
) -> PerPicture:
    """Gather what each picture adds to a number: ids `[N]`, values `[N, ...]`, the mean where no statistic is given.

    >>> values_of(["a", "b"], np.array([True, False])).values.tolist()
    [1.0, 0.0]
    """
    found = np.asarray(ids, dtype=object).astype(str), np.asarray(values, dtype=np.float64)
    return PerPicture(*found) if statistic is None else PerPicture(*found, statistic)


def compare_findings(first: Sequence[Finding], second: Sequence[Finding]) -> list[PairedFinding]:
    """Compare the findings of two models by name, those that both have picture by picture.

    A difference is called better or worse only where it is more than chance over all findings together (Bonferroni at
    5%): one of many is always largest.

    >>> ids = [str(row) for row in range(40)]
    >>> one, other = (Finding("accuracy", "accuracy", share, None, 40, "good", "So.",
    ...     per_picture=values_of(ids, np.arange(40) < 40 * share)) for share in (0.5, 1.0))
    >>> [(found.difference, found.word) for found in compare_findings([one], [other])]
    [(0.5, 'better')]
    """
    others = {one.name: one for one in second if one.per_picture is not None}
    pairs = [(one, others[one.name]) for one in first if one.per_picture is not None and one.name in others]
    found = []
    for one, other in pairs:
        assert one.per_picture is not None, "left out above"
        assert other.per_picture is not None, "left out above"
        change = compare_paired(other.per_picture, one.per_picture, f"two models: {one.name}")
        if change is None or change.n is None:
            continue
        word = WORDS[2]
        if change.p < _LEVEL / len(pairs):
            word = WORDS[0] if (change.difference > 0) == one.larger_is_better else WORDS[1]
        numbers = (change.before, change.now, change.interval, change.p, change.n)
        found.append(PairedFinding(one.name, one.unit, *numbers, change.test, word))
    return found


def paired_finding(paired: Sequence[PairedFinding], section: str) -> Finding:
    """Tell of all findings that two models were compared by, with a table of them.

    >>> paired_finding([], "second").sentence
    'No finding could be compared picture by picture.'
    """
    named = {word: [one.name.replace("_", " ") for one in paired if one.word == word] for word in WORDS}
    sentence = "No finding could be compared picture by picture."
    if paired:
        told = [f"{word} by {', '.join(named[word])}" for word in WORDS[:2] if named[word]]
        rest = len(named[WORDS[2]])
        told += [f"no difference is shown by {rest:,}"] if rest else []
        sentence = (
            f"Of {number_of(len(paired), 'finding')} that pictures add to, the second model is {'; '.join(told)}."
        )
        if not named[WORDS[0]] and not named[WORDS[1]]:
            sentence = f"By none of {number_of(len(paired), 'finding')} is a difference of the two models shown."
    apart = len(paired) - len(named[WORDS[2]])
    judgement: Judgement = "not judged" if not paired else "look" if apart else "good"
    pictures = max((one.n for one in paired), default=0)
    return Finding(
        "second_model_findings",
        section,
        float(apart),
        None,
        pictures,
        judgement,
        sentence,
        unit="number",
        tables={"Finding by finding, second minus first": _columns(paired)},
    )


def _columns(paired: Sequence[PairedFinding]) -> Columns:
    return {
        "finding": [one.name.replace("_", " ") for one in paired],
        "second model is": [one.word for one in paired],
        "first": [one.first for one in paired],
        "second": [one.second for one in paired],
        "difference": [one.difference for one in paired],
        "from": [one.interval[0] for one in paired],
        "to": [one.interval[1] for one in paired],
        "p": [one.p for one in paired],
        "pictures": [one.n for one in paired],
        "test": [one.test for one in paired],
    }
