"""Kinds of pictures on which a model fails: looked for on one half of them, shown only where the other half agrees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from backlight.audit.arrays import Array, Ids, as_array, read_matrix
from backlight.audit.clusters import cluster
from backlight.audit.probe import stratified_folds
from backlight.audit.ranges import find_ranges
from backlight.core.errors import InputError
from backlight.core.random import Seed
from backlight.table.statistics import wilson

_LEAST, _LEAST_SHARE = 10, 0.01  # a slice holds at least so many pictures of each half
_MOST_TESTED = 20  # the fewer are tested, the less the correction costs
_ALIKE = 0.5  # slices that share more of their pictures are one


@dataclass(frozen=True, eq=False, repr=False)
class WeakSlice:
    """Pictures of one kind on which a model fails more often than on the others.

    kind, name  "features" and a number, "properties" and their ranges, or the name of a group and its value
    rows        int64, all pictures of the slice, of both halves
    n           pictures of it in the half that confirms, of which `error` is the share of mistakes
    others      the share of mistakes among the other pictures of that half
    gap         `error` - `others`; low and high are its bounds, corrected for how many slices were tested
    shared      properties that set it apart: name, and how probably one of its pictures has a higher value than another

    >>> WeakSlice("properties", "brightness below 0.2", np.arange(3), 40, 0.5, 0.1, 0.4, 0.2, 0.6, ()).gap
    0.4
    """

    kind: str
    name: str
    rows: np.ndarray
    n: int
    error: float
    others: float
    gap: float
    low: float
    high: float
    shared: tuple[tuple[str, float], ...]


@dataclass(frozen=True, eq=False, repr=False)
class SliceSearch:
    """Slices that the other half confirmed, worst first; how many were looked at, and how many were tested there.

    >>> SliceSearch((), 120, 8).tested
    8
    """

    slices: tuple[WeakSlice, ...]
    looked_at: int
    tested: int


def find_weak_slices(
    right: Array,
    *,
    features: Array | None = None,
    properties: Mapping[str, Array] | None = None,
    groups: Mapping[str, Sequence[str | None]] | None = None,
    confidence: float = 0.99,
    ids: Ids = None,
    seed: Seed = 0,
) -> SliceSearch:
    """Find kinds of pictures on which answers are wrong more often than on the others, and confirm them.

    `right` bool `[N]` says which answers are. Candidates are clusters of `features` `[N,D]`, ranges of `properties`
    (`[N]` by name; NaN where unknown) and the values of `groups` (`[N]` by name; None where unknown). They are chosen
    on one half of the pictures, keyed by ids; at most 20 with the largest gaps are tested on the other half, and shown
    where the lower bound of their gap (Newcombe 1998, from Wilson intervals) is above 0. The chance that anything is
    shown where errors have nothing to do with the pictures is at most 1 - `confidence` (Bonferroni).

    Raises InputError for columns of other lengths and a confidence outside of 0 to 1.

    >>> brightness = np.arange(400) / 400
    >>> found = find_weak_slices(brightness > 0.25, properties={"brightness": brightness})
    >>> found.slices[0].kind, found.slices[0].error
    ('properties', 1.0)
    """
    correct = as_array(right).astype(bool)
    if correct.ndim != 1 or not 0 < confidence < 1:
        raise InputError(f"right of shape {list(correct.shape)}, confidence {confidence}", expected="[N], 0 to 1")
    known = {name: as_array(column).astype(np.float64) for name, column in (properties or {}).items()}
    for name, column in {**known, **(groups or {}), **({} if features is None else {"features": features})}.items():
        if len(column) != len(correct):
            raise InputError(f"{len(column)} values of {name} for {len(correct)} answers", expected="one for each")
    halves = stratified_folds(np.zeros(len(correct), np.int64), 2, ids=ids, seed=("slices", seed))
    searched, confirming = halves == 0, halves == 1
    candidates = list(_candidates(~correct, searched, features, known, groups or {}, ids, seed))
    tested = _most_promising(candidates, ~correct, searched, confirming)
    # One-sided, each at its part of what may go wrong; `wilson` counts both sides.
    level = 1 - 2 * (1 - confidence) / max(1, len(tested))
    found = [_confirmed(one, ~correct, confirming, level, known) for one in tested]
    return SliceSearch(tuple(_different([one for one in found if one.low > 0])), len(candidates), len(tested))


_Candidate = tuple[str, str, np.ndarray]


def _candidates(
    wrong: np.ndarray,
    searched: np.ndarray,
    features: Array | None,
    properties: Mapping[str, np.ndarray],
    groups: Mapping[str, Sequence[str | None]],
    ids: Ids,
    seed: Seed,
) -> Iterator[_Candidate]:
    """Yield kind, name and members, bool `[N]`."""
    for name, values in groups.items():
        column = np.array(values, dtype=object)
        for value in sorted({one for one in values if one is not None}):
            yield name, value, column == value
    half = {name: column[searched] for name, column in properties.items()}
    for one in find_ranges(wrong[searched], half, least=_least(searched)):
        yield "properties", str(one), one.holds(properties)
    if features is not None and searched.sum() >= 2:
        found = cluster(read_matrix(features), np.flatnonzero(searched), ids=ids, seed=seed)
        for number in range(found.count):
            yield "features", str(number), found.numbers == number


def _least(half: np.ndarray) -> int:
    return max(_LEAST, int(half.sum() * _LEAST_SHARE))


def _most_promising(
    candidates: list[_Candidate], wrong: np.ndarray, searched: np.ndarray, confirming: np.ndarray
) -> list[_Candidate]:
    """Keep the candidates with the largest lower bounds of a gap on the half that was searched."""
    promising = []
    for place, (_, _, members) in enumerate(candidates):
        large = min((members & half).sum() - _least(half) for half in (searched, confirming)) >= 0
        low = _gap(members, wrong, searched, 0.8).low
        if large and low > 0:
            promising.append((-low, place))
    kept: list[_Candidate] = []
    for _, place in sorted(promising):
        if len(kept) < _MOST_TESTED and all(_overlap(candidates[place][2], one[2]) < 0.9 for one in kept):
            kept.append(candidates[place])
    return kept


class _Gap(NamedTuple):
    n: int
    error: float
    others: float
    low: float
    high: float


def _gap(members: np.ndarray, wrong: np.ndarray, half: np.ndarray, level: float) -> _Gap:
    """Return pictures of the slice, errors in it and outside of it, and the bounds of their difference."""
    inside, outside = members & half, ~members & half
    counts = int(inside.sum()), int(outside.sum())
    if not min(counts):
        return _Gap(counts[0], float("nan"), float("nan"), 0.0, 0.0)
    bad = int(wrong[inside].sum()), int(wrong[outside].sum())
    error, others = bad[0] / counts[0], bad[1] / counts[1]
    (lower, upper), (least, most) = (wilson(bad[side], counts[side], level) for side in (0, 1))
    gap, below, above = error - others, np.hypot(error - lower, most - others), np.hypot(upper - error, others - least)
    return _Gap(counts[0], error, others, gap - float(below), gap + float(above))


def _confirmed(
    candidate: _Candidate, wrong: np.ndarray, half: np.ndarray, level: float, properties: Mapping[str, np.ndarray]
) -> WeakSlice:
    kind, name, members = candidate
    gap, shared = _gap(members, wrong, half, level), shared_properties(members, properties)
    rows, difference = np.flatnonzero(members), gap.error - gap.others
    return WeakSlice(kind, name, rows, gap.n, gap.error, gap.others, difference, gap.low, gap.high, shared)


def shared_properties(
    members: np.ndarray, properties: Mapping[str, np.ndarray], *, least: float = 0.2, most: int = 3
) -> tuple[tuple[str, float], ...]:
    """List the properties by which members `[N]` differ most from the others: the chance that a member's is higher.

    The chance (area under the ROC curve, ties counted half) is at least `least` away from 0.5.

    >>> shared_properties(np.array([True, True, False, False]), {"hue": np.array([0, 1, 0, 1]), "size": np.arange(4)})
    (('size', 0.0),)
    """
    from scipy.stats import rankdata

    found = []
    for name, column in properties.items():
        known = np.isfinite(column)
        inside, total = int((members & known).sum()), int(known.sum())
        if 0 < inside < total:
            ranks = rankdata(column[known])
            above = ranks[members[known]].sum() - inside * (inside + 1) / 2
            chance = float(above / (inside * (total - inside)))
            if abs(chance - 0.5) >= least:
                found.append((name, chance))
    return tuple(sorted(found, key=lambda one: -abs(one[1] - 0.5))[:most])


def _different(slices: list[WeakSlice]) -> Iterator[WeakSlice]:
    """Yield slices from the largest lower bound on, without those that are mostly one that came before."""
    seen: list[set[int]] = []
    for one in sorted(slices, key=lambda each: -each.low):
        rows = set(one.rows.tolist())
        if all(len(rows & other) <= _ALIKE * min(len(rows), len(other)) for other in seen):
            seen.append(rows)
            yield one


def _overlap(first: np.ndarray, second: np.ndarray) -> float:
    return float((first & second).sum() / max(1, (first | second).sum()))
