"""A second model on the same pictures, picture by picture: where it is better, where worse, and what may be chance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from backlight.audit.card import CheckCard
from backlight.audit.examined import Examined
from backlight.audit.finding import Columns, Finding, Judgement, Shown
from backlight.audit.kept import PROPERTIES, Kept
from backlight.audit.words import number_of
from backlight.core.errors import DataError
from backlight.core.random import Seed, generator_seed
from backlight.table.statistics import expected_calibration_error, mcnemar, paired_interval

SECTION = "second"
_LEVEL = 0.05
_DRAWS, _SHOWN, _LEAST = 999, 24, 10
_THIRDS = ("lowest", "middle", "highest")


@dataclass(frozen=True)
class Difference:
    """The second model's number minus the first's on the same pictures, with its 95% interval.

    `p` is the probability of a difference at least this large if both were equally good.

    >>> Difference("cat", 10, 0.5, 0.7, (-0.1, 0.5), 0.5, "McNemar's exact test").difference
    0.19999999999999996
    """

    name: str
    n: int
    first: float
    second: float
    interval: tuple[float, float]
    p: float
    test: str

    @property
    def difference(self) -> float:
        """Return the second number minus the first."""
        return self.second - self.first


@dataclass(frozen=True, eq=False, repr=False)
class ModelComparison:
    """What two models say of the same pictures: `accuracy` and `calibration` over all, `classes` and `kinds` each.

    Kinds are the thirds of each property of pictures. `first` and `second` hold the same pictures in the same order.

    >>> one = Kept.of(np.eye(2), labels=[0, 1])
    >>> compare_models(one, one).accuracy.difference
    0.0
    """

    first: Kept
    second: Kept
    accuracy: Difference
    calibration: Difference | None
    classes: tuple[Difference, ...]
    kinds: tuple[Difference, ...]


def compare_models(first: Kept, second: Kept, *, seed: Seed = 0) -> ModelComparison:
    """Compare two models picture by picture, whatever order their pictures and classes are in.

    Accuracies go through McNemar's exact test; the calibration error (15 bins of equal width) is drawn again 999
    times over pictures, by a key. Kinds do not depend on any model's mistakes: slices that were found where one model
    is weak would favor the other.

    Raises DataError for models that have no labeled picture in common.

    >>> one = Kept.of(np.eye(3), labels=[0, 1, 2])
    >>> other = Kept.of(np.eye(3)[[0, 1, 1]], labels=[0, 1, 2])
    >>> compare_models(one, other).accuracy.second
    0.6666666666666666
    """
    one, other = _shared(first, second)
    right, also = one.right, other.right
    classes = [(name, one.labels == number) for number, name in enumerate(one.label_names)]
    return ModelComparison(
        one,
        other,
        _paired("accuracy", right, also),
        _calibration(one, other, seed),
        tuple(_paired(name, right[rows], also[rows]) for name, rows in classes if rows.any()),
        tuple(_paired(name, right[rows], also[rows]) for name, rows in _thirds(one)),
    )


def clear(differences: Sequence[Difference]) -> list[Difference]:
    """List those of several differences that are more than chance, largest first (Bonferroni at 5%).

    >>> cat = Difference("cat", 50, 0.9, 0.5, (-0.5, -0.2), 0.0001, "a test")
    >>> dog = Difference("dog", 50, 0.9, 0.8, (-0.2, 0.0), 0.04, "a test")
    >>> [one.name for one in clear([cat, dog])]
    ['cat']
    """
    found = [one for one in differences if one.p < _LEVEL / len(differences)]
    return sorted(found, key=lambda one: -abs(one.difference))


def _shared(first: Kept, second: Kept) -> tuple[Kept, Kept]:
    place = {name: row for row, name in enumerate(second.ids)}
    rows = [row for row, name in enumerate(first.ids) if name in place and first.labels[row] >= 0]
    if not rows:
        raise DataError("two models without a labeled picture in common", expected="the same pictures for both")
    return first.take(np.array(rows)), second.take(np.array([place[first.ids[row]] for row in rows]))


def _paired(name: str, right: np.ndarray, also: np.ndarray) -> Difference:
    more, less = int((also & ~right).sum()), int((right & ~also).sum())
    means = float(right.mean()), float(also.mean())
    return Difference(
        name, len(right), *means, paired_interval(more, less, len(right)), mcnemar(less, more), "McNemar's exact test"
    )


def _calibration(one: Kept, other: Kept, seed: Seed) -> Difference | None:
    known = one.defined & other.defined
    n = int(known.sum())
    if n < _LEAST:
        return None
    pairs = [(kept.confidence[known].astype(np.float64), kept.right[known]) for kept in (one, other)]
    generator = np.random.default_rng(generator_seed(("two models", seed)))

    def apart(rows: np.ndarray) -> float:
        first, second = (expected_calibration_error(told[rows], right[rows]) for told, right in pairs)
        return second - first

    drawn = np.array([apart(generator.integers(n, size=n)) for _ in range(_DRAWS)])
    low, high = np.quantile(drawn, (0.025, 0.975)).tolist()
    beyond = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    values = [expected_calibration_error(told, right) for told, right in pairs]
    p = min(1.0, 2 * (beyond + 1) / (_DRAWS + 1))
    return Difference("calibration error", n, values[0], values[1], (low, high), p, "a paired bootstrap")


def _thirds(kept: Kept) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the thirds of each property that has three, by name: bool `[N]`."""
    for name in PROPERTIES:
        values = kept.properties.get(name)
        known = np.isfinite(values) if values is not None else np.zeros(0, bool)
        if values is None or known.sum() < 3 * _LEAST:
            continue
        ends = np.quantile(values[known], (1 / 3, 2 / 3))
        third = np.searchsorted(ends, values)
        parts = [known & (third == number) for number in range(3)]
        if min(int(rows.sum()) for rows in parts) >= _LEAST:
            yield from (
                (f"{name.replace('_', ' ')}: {_THIRDS[number]} third", rows) for number, rows in enumerate(parts)
            )


def check_two_models(examined: Examined) -> Iterator[Finding]:
    """Compare the model with a second one: accuracy, each class, kinds of pictures, calibration."""
    assert examined.second is not None, "needs 'second'"
    found = compare_models(examined.kept, examined.second, seed=examined.seed)
    yield _accuracy(found)
    for name, title, differences in (("classes", "class", found.classes), ("kinds", "kind", found.kinds)):
        if differences:
            yield _several(f"second_model_{name}", title, differences)
    if found.calibration is not None:
        yield _calibrated(found.calibration)


def _accuracy(found: ModelComparison) -> Finding:
    one = found.accuracy
    only = {name: int(mask.sum()) for name, mask in _only(found).items()}
    sentence = (
        f"The second model is right on {one.second:.1%}, the first on {one.first:.1%}: {_points(one)}"
        f"{_chance(one)}. "
        f"The second alone gets {number_of(only['second'], 'picture')} right, the first alone {only['first']:,}."
    )
    better = one.p < _LEVEL and one.difference > 0
    return Finding(
        "second_model_accuracy",
        SECTION,
        one.difference,
        one.interval,
        one.n,
        "good" if one.p >= _LEVEL else "look",
        sentence,
        tuple(_pictures(found)),
        "Take the second model." if better else "",
    )


def _only(found: ModelComparison) -> dict[str, np.ndarray]:
    right, also = found.first.right, found.second.right
    return {"second": also & ~right, "first": right & ~also}


def _pictures(found: ModelComparison) -> Iterator[Shown]:
    for which, mask in _only(found).items():
        for row in np.flatnonzero(mask)[: _SHOWN // 2].tolist():
            said = (_said(kept, row) for kept in (found.first, found.second))
            yield Shown(found.first.ids[row], f"only the {which} is right: {', then '.join(said)}")


def _said(kept: Kept, row: int) -> str:
    number = int(kept.predictions[row])
    return kept.label_names[number] if number >= 0 else "no prediction"


def _several(name: str, title: str, differences: Sequence[Difference]) -> Finding:
    apart = clear(differences)
    plural = {"class": "classes", "kind": "kinds of pictures"}[title]
    named = ", ".join(f"{one.name} ({100 * one.difference:+.0f} points)" for one in apart[:5])
    rest = f" and {len(apart) - 5} more" if len(apart) > 5 else ""
    none = f"On none of {len(differences)} {plural} do the models differ by more than chance."
    some = f"On {len(apart)} of {len(differences)} {plural} they differ by more than chance: {named}{rest}."
    judgement: Judgement = "look" if apart else "good"
    table = _table(title, sorted(differences, key=lambda one: one.difference))
    return Finding(
        name, SECTION, float(len(apart)), None, len(differences), judgement, some if apart else none, unit="number",
        tables={f"Accuracy by {title}, second minus first": table},
    )  # fmt: skip


def _table(title: str, differences: Sequence[Difference]) -> Columns:
    return {
        title: [one.name for one in differences],
        "pictures": [one.n for one in differences],
        "first": [one.first for one in differences],
        "second": [one.second for one in differences],
        "difference": [one.difference for one in differences],
        "from": [one.interval[0] for one in differences],
        "to": [one.interval[1] for one in differences],
        "p": [one.p for one in differences],
    }


def _calibrated(one: Difference) -> Finding:
    sentence = (
        f"The calibration error of the second model is {one.second:.1%}, of the first {one.first:.1%}: {_points(one)}"
        f"{_chance(one)}."
    )
    judgement: Judgement = "good" if one.p >= _LEVEL else "look"
    return Finding("second_model_calibration", SECTION, one.difference, one.interval, one.n, judgement, sentence)


def _chance(one: Difference) -> str:
    p = "p < 0.001" if one.p < 0.001 else f"p = {one.p:.2g}"
    return f", {p}" if one.p < _LEVEL else f", which may be chance ({p})"


def _points(one: Difference) -> str:
    low, high = (100 * end for end in one.interval)
    return f"{100 * one.difference:+.1f} points ({low:+.1f} to {high:+.1f})"


CARDS = (CheckCard("two_models", SECTION, check_two_models, needs=frozenset({"labels", "second"})),)
