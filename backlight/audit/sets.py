"""Sets of classes in place of one answer: how large they are where nine in ten have to hold the right class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from backlight.audit.card import CheckCard
from backlight.audit.conformal import ConformalSets, conformal_sets, coverage_band, quantile_rank
from backlight.audit.examined import Examined
from backlight.audit.finding import Finding, Shown, judge, not_judged
from backlight.audit.kept import Kept
from backlight.audit.paired import values_of
from backlight.audit.probe import stratified_folds
from backlight.core.errors import counted

_ALPHA, _LEAST, _SHOWN, _NAMED = 0.1, 100, 8, 4
_LOOK, _BAD = 2.0, 10.0  # classes in a set: what a person can still choose among
_STRATA = ((0, 1), (2, 3), (4, 6), (7, 10), (11, 100), (101, 1000), (1001, 10**9))


@dataclass(frozen=True, eq=False, repr=False)
class _Tried:
    """Sets by one score, on pictures that set no threshold, and whether each holds its label."""

    name: str
    sets: ConformalSets
    covered: np.ndarray

    @property
    def coverage(self) -> float:
        return float(self.covered.mean())


def check_sets(examined: Examined) -> Iterator[Finding]:
    """Compute sets that hold the right class in nine of ten cases, from one half of the pictures for the other."""
    kept = examined.kept.without_features()
    kept = kept.take(kept.defined)
    if len(kept) < _LEAST:
        why = f"{counted(len(kept), 'picture')} with a prediction: at least {_LEAST} are needed to promise anything"
        yield not_judged("set_coverage", "calibration", why, len(kept))
        return
    half = stratified_folds(np.zeros(len(kept), np.int64), 2, ids=kept.ids, seed=("sets", examined.seed))
    known, shown = kept.take(half == 0), kept.take(half == 1)
    tried = list(_tried(known, shown, examined.seed))
    yield _coverage_finding(tried, shown)
    yield _size_finding(tried[0], shown)


def _tried(known: Kept, shown: Kept, seed: int) -> Iterator[_Tried]:
    plans = [(score, False) for score in ("lac", "raps", "aps")]
    counts = np.bincount(known.labels, minlength=len(known.label_names))
    if all(quantile_rank(int(count), _ALPHA) <= count for count in counts):
        plans.append(("lac", True))
    for score, by_class in plans:
        found = conformal_sets(
            known.probabilities,
            known.labels,
            shown.probabilities,
            alpha=_ALPHA,
            score=score,
            class_conditional=by_class,
            calibration_ids=known.ids,
            ids=shown.ids,
            seed=seed,
        )
        yield _Tried(score.upper() + (", by class" if by_class else ""), found, found.covers(shown.labels))


def _coverage_finding(tried: list[_Tried], shown: Kept) -> Finding:
    smallest = tried[0]
    low, high = coverage_band(smallest.sets.n, _ALPHA, tested=len(shown), confidence=0.99)
    inside = low <= smallest.coverage
    sentence = (
        f"Sets that promise the right class in {1 - _ALPHA:.0%} of cases hold it in {smallest.coverage:.1%} of "
        f"{len(shown):,} pictures{'' if inside else ', too rarely to be chance'}; with {smallest.sets.n:,} calibration "
        f"pictures {low:.1%} to {high:.1%} is to be expected. This holds for pictures like these, under no shift."
    )
    return Finding(
        "set_coverage",
        "calibration",
        smallest.coverage,
        (low, high),
        len(shown),
        "good" if inside else "look",
        sentence,
        tables={
            "Sets by score": {
                "score": [one.name for one in tried],
                "coverage": [one.coverage for one in tried],
                "mean_size": [float(one.sets.sizes.mean()) for one in tried],
                "median_size": [float(np.median(one.sets.sizes)) for one in tried],
                "worst_class_coverage": [_worst_class(one, shown) for one in tried],
                "options": [one.sets.score for one in tried],
            },
            "Coverage by size of the set": _by_size(tried),
        },
        per_picture=values_of(shown.ids, smallest.covered),
    )


def _worst_class(one: _Tried, shown: Kept) -> float:
    counts = np.bincount(shown.labels)
    covered = np.bincount(shown.labels, weights=one.covered)
    return float((covered[counts > 0] / counts[counts > 0]).min())


def _by_size(tried: list[_Tried]) -> dict[str, list[object]]:
    rows: list[tuple[object, ...]] = []
    for one in tried:
        for low, high in _STRATA:
            members = (one.sets.sizes >= low) & (one.sets.sizes <= high)
            if members.any():
                size = f"{low}" if low == high else f"{low} to {high}" if high < 10**9 else f"{low} and more"
                rows.append((one.name, size, int(members.sum()), float(one.covered[members].mean())))
    return {head: [row[place] for row in rows] for place, head in enumerate(("score", "size", "pictures", "coverage"))}


def _size_finding(one: _Tried, shown: Kept) -> Finding:
    sizes = one.sets.sizes
    mean, half = float(sizes.mean()), 1.96 * float(sizes.std(ddof=1)) / len(sizes) ** 0.5
    interval = (max(0.0, mean - half), mean + half)
    single = float((sizes == 1).mean())
    sentence = (
        f"Such a set holds {mean:.2f} classes on average, of {len(shown.label_names):,}; {single:.0%} of pictures get "
        f"a single one, and the largest set holds {int(sizes.max()):,}."
    )
    largest = [row for row in np.argsort(-sizes, kind="stable")[:_SHOWN] if sizes[row] > 1]
    return Finding(
        "set_size",
        "calibration",
        mean,
        interval,
        len(shown),
        judge(interval, look=_LOOK, bad=_BAD),
        sentence,
        pictures=tuple(Shown(shown.ids[row], _caption(shown, one.sets, int(row))) for row in largest),
        unit="number",
        tables={"Sets by class": _by_class(one, shown)},
        per_picture=values_of(shown.ids, sizes),
        larger_is_better=False,
    )


def _caption(shown: Kept, sets: ConformalSets, row: int) -> str:
    members = np.flatnonzero(sets.members[row])
    likely = members[np.argsort(-shown.probabilities[row, members], kind="stable")]
    names = [shown.label_names[index] for index in likely[:_NAMED]]
    more = f" and {len(likely) - _NAMED} more" if len(likely) > _NAMED else ""
    return f"{shown.label_names[shown.labels[row]]}; the set is {', '.join(names)}{more}"


def _by_class(one: _Tried, shown: Kept) -> dict[str, list[object]]:
    occurring = np.unique(shown.labels)
    members = {int(index): shown.labels == index for index in occurring}
    return {
        "class": [shown.label_names[index] for index in members],
        "pictures": [int(rows.sum()) for rows in members.values()],
        "coverage": [float(one.covered[rows].mean()) for rows in members.values()],
        "mean_size": [float(one.sets.sizes[rows].mean()) for rows in members.values()],
    }


CARDS = (
    CheckCard(
        "prediction_sets",
        "calibration",
        check_sets,
        needs=frozenset({"labels"}),
        reference="Angelopoulos and Bates, 2021, arXiv:2107.07511",
        paired=True,
    ),
)
