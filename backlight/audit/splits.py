"""Whether the test knows pictures of the training, and whether the two hold the same classes and kinds of pictures."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from backlight.audit.card import CheckCard
from backlight.audit.copies import group_table, located
from backlight.audit.duplicates import DuplicateGroup, duplicates_of
from backlight.audit.examined import Examined, Part
from backlight.audit.finding import Finding, Shown
from backlight.audit.kept import Kept
from backlight.audit.words import agreeing, number_of, some_of
from backlight.core.random import Random
from backlight.table.statistics import exact_interval, unpaired_interval, wilson

_BAD = 0.01  # share of leaked pictures
_MATTERS = 0.005  # of accuracy
_GROUPS, _AVERAGED, _PERMUTATIONS, _CHANCE = 12, 100, 500, 0.01


def check_leaks(examined: Examined) -> Iterator[Finding]:
    """Find pictures of the data that are in the training data too, and what the accuracy is without them."""
    kept, train = examined.kept, examined.train
    assert train is not None
    groups = [group for group in duplicates_of(kept, train) if group.rows[0] < len(kept) <= group.rows[-1]]
    leaked = np.array([row for group in groups for row in group.rows if row < len(kept)], dtype=np.int64)
    interval = exact_interval(len(leaked), len(kept))
    places = [[located(row, [kept, train]) for row in group.rows] for group in groups]
    torn = sum(1 for several in places if len({part.label_of(row) for part, row in several} - {""}) > 1)
    sentence = "No picture is in the training data too, exactly or nearly."
    if len(leaked):
        sentence = f"{some_of(len(leaked), len(kept))} in the training data too, exactly or nearly"
        sentence += (
            f"; {number_of(torn, 'group')} of copies {agreeing(torn, 'have')} other labels there." if torn else "."
        )
    yield Finding(
        "leaked_pictures",
        "splits",
        len(leaked) / len(kept),
        interval,
        len(kept),
        "good" if not len(leaked) else "bad" if interval[0] > _BAD else "look",
        sentence,
        tuple(_shown(groups, kept, train)),
        "Take them out of the test (the table lists them) and measure again." if len(leaked) else "",
        gain=len(leaked) / len(kept),
        tables={"Pictures in both": group_table(groups, [kept, train])} if groups else {},
    )
    if len(leaked) and kept.labeled and len(leaked) < len(kept):
        yield _without(kept, leaked)


def _shown(groups: list[DuplicateGroup], kept: Kept, train: Kept) -> Iterator[Shown]:
    for place, group in enumerate(groups[:_GROUPS]):
        own = [row for row in group.rows if row < len(kept)][:2]
        other = [row for row in group.rows if row >= len(kept)][:2]
        for row in (*own, *other):
            part, inner = located(row, [kept, train])
            source = "data" if row < len(kept) else "train"
            where = "here" if source == "data" else "in training"
            yield Shown(part.ids[inner], " ".join([where, part.label_of(inner)]).strip(), source, place)  # type: ignore[arg-type]


def _without(kept: Kept, leaked: np.ndarray) -> Finding:
    new = np.ones(len(kept), bool)
    new[leaked] = False
    right, count = int(kept.right[new].sum()), int(new.sum())
    with_them, without = float(kept.right.mean()), right / count
    known = kept.right[~new].mean()
    # Only if the leaked are more often right, or less, than chance explains, does it matter that they were there.
    gap = unpaired_interval((right, count), (int(kept.right[leaked].sum()), len(leaked)))
    low, high = (end * len(leaked) / len(kept) for end in gap)
    sentence = (
        f"Without the leaked pictures {without:.1%} are right, with them {with_them:.1%}; of the leaked {known:.1%}."
    )
    return Finding(
        "accuracy_without_leaks",
        "splits",
        without,
        wilson(right, count),
        count,
        "look" if low > _MATTERS or high < -_MATTERS else "good",
        sentence,
        next="Report the accuracy without them." if low > 0 else "",
    )


def check_labels_of_parts(examined: Examined) -> Iterator[Finding]:
    """Find classes that one of the two data sets lacks."""
    kept, train = examined.kept, examined.train
    assert train is not None
    here, there = (np.bincount(one.labels[one.labels >= 0], minlength=len(kept.label_names)) for one in (kept, train))
    new, lost = np.flatnonzero((here > 0) & (there == 0)), np.flatnonzero((here == 0) & (there > 0))
    number = int(here[new].sum())
    interval = wilson(number, len(kept))
    names = ", ".join(kept.label_names[one] for one in new[:5])
    classes = f"{number_of(len(new), 'class')} without training pictures"
    sentence = f"{number_of(number, 'picture', 'are')} of {classes}: {names}."
    if not len(new):
        sentence = "Every class here has training pictures"
        sentence += (
            f"; {number_of(len(lost), 'class')} of the training {agreeing(len(lost), 'are')} not tested."
            if len(lost)
            else "."
        )
    rows = [*new.tolist(), *lost.tolist()]
    yield Finding(
        "classes_without_training",
        "splits",
        number / len(kept),
        interval,
        len(kept),
        "bad" if number else "look" if len(lost) else "good",
        sentence,
        next="Collect training pictures of these classes, or leave them out of the test." if number else "",
        gain=number / len(kept),
        tables={
            "Classes that one part lacks": {
                "class": [kept.label_names[one] for one in rows],
                "pictures here": here[rows].tolist(),
                "pictures in training": there[rows].tolist(),
            }
        }
        if rows
        else {},
    )


def check_mean_pictures(examined: Examined) -> Iterator[Finding]:
    """Find whether the mean pictures of data and training differ by more than chance, by permutation of the parts."""
    kept, train = examined.kept, examined.train
    assert train is not None
    distance, share = _mean_distance(kept, train, examined.seed)
    far = share < _CHANCE
    words = "more than chance explains" if far else "as chance explains"
    images = {}
    for name, part in (("the data", examined.part), ("the training", examined.train_part)):
        mean = None if part is None else _mean_picture(part, examined.seed)
        if mean is not None:
            images[f"Mean of {name}"] = mean
    yield Finding(
        "mean_picture_difference",
        "splits",
        distance,
        None,
        len(kept),
        "look" if far else "good",
        f"The mean pictures of data and training differ by {distance:.1f} of 255 levels, {words} (p = {share:.2g}).",
        next="See the properties under shift: another camera, crop or light makes another mean." if far else "",
        unit="number",
        images=images,
    )


def _mean_distance(kept: Kept, train: Kept, seed: int) -> tuple[float, float]:
    """Return the mean absolute difference of the mean thumbnails, and the share of permutations that differ more."""
    first, second = (_drawn(one, seed) for one in (kept, train))
    both = np.concatenate([first, second]).astype(np.float32)
    generator = np.random.default_rng([seed, 7])
    total, size = both.sum(0), len(first)

    def distance(chosen: np.ndarray) -> float:
        part = both[chosen].sum(0)
        return float(np.abs(part / size - (total - part) / (len(both) - size)).mean())

    seen = distance(np.arange(size))
    larger = sum(distance(generator.permutation(len(both))[:size]) >= seen for _ in range(_PERMUTATIONS))
    return seen, (1 + larger) / (1 + _PERMUTATIONS)


def _drawn(kept: Kept, seed: int, most: int = 2000) -> np.ndarray:
    return kept.thumbnails[_rows(kept, seed, most)]


def _rows(kept: Kept, seed: int, most: int) -> np.ndarray:
    keys = Random((seed, "mean"), list(kept.ids)).uniform(dtype=torch.float64).numpy()
    return np.sort(np.argsort(keys, kind="stable")[:most])


def _mean_picture(part: Part, seed: int) -> Tensor | None:
    if part.data is None:
        return None
    _, images, _ = part.data.readable(_rows(part.kept, seed, _AVERAGED).tolist())
    shapes = {tuple(one.shape) for one in images}
    return torch.stack([one.float() / 255 for one in images]).mean(0) if len(shapes) == 1 else None


_NEEDS = frozenset({"train"})
CARDS = (
    CheckCard(
        "leaked_pictures",
        "splits",
        check_leaks,
        needs=_NEEDS,
        reference="Barz and Denzler, 2020, arXiv:1902.00423",
        avoid="frames of one film: they are near copies by nature",
    ),
    CheckCard("classes_without_training", "splits", check_labels_of_parts, needs=_NEEDS | {"labels"}),
    CheckCard(
        "mean_picture_difference",
        "splits",
        check_mean_pictures,
        needs=_NEEDS,
        avoid="data sets of another choice of classes",
    ),
)
