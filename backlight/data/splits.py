"""Train, val and test: as the data marks them, or drawn stratified by a fixed seed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from backlight.core.errors import DataError, UsageError, counted
from backlight.core.grammar import normal
from backlight.core.random import Random
from backlight.data.dataset import Dataset
from backlight.data.pictures import Joined
from backlight.data.trained import SPLIT_SEED, TrainedOn

NAMES = ("train", "val", "test")
_SYNONYMS = {
    "train": ("train", "training", "trn", "trainval"),
    "val": ("val", "valid", "validation", "validate", "validating", "dev", "develop", "development"),
    "test": ("test", "testing", "tst", "holdout"),
}
_PARTS = {word: part for part, words in _SYNONYMS.items() for word in words}
_FILLERS = re.compile(r"[\s_.-]*(sets?|data|datasets?|images?|imgs?|pictures?|photos?|split|part)$")


@dataclass(frozen=True)
class Splits:
    """Hold the parts of a data set.

    `parts` maps "train", "val" and "test" to non-empty data sets and `whole` is all of it. `found` holds what the
    data itself set apart, or "all" of it; the other parts were drawn by `seed`. `unlabeled` holds the parts without
    labels of a data set that has labels elsewhere: they are left out of `whole`.

    >>> whole = Dataset.of(torch.zeros(20, 3, 8, 8, dtype=torch.uint8), labels=[0, 1] * 10, label_names=["a", "b"])
    >>> splits = make_splits({"all": whole})
    >>> len(splits.pick("train")), len(splits.pick("val")), len(splits.pick())
    (16, 2, 20)
    """

    parts: Mapping[str, Dataset]
    whole: Dataset
    found: Mapping[str, Dataset]
    seed: int
    unlabeled: Mapping[str, Dataset] = field(default_factory=dict)

    def mapped(self, change: Callable[[Dataset], Dataset]) -> Splits:
        """Return the splits with each part changed."""
        held = (self.parts, self.found, self.unlabeled)
        changed = {id(one): change(one) for one in (self.whole, *(one for parts in held for one in parts.values()))}
        parts, found, unlabeled = ({name: changed[id(one)] for name, one in each.items()} for each in held)
        return replace(self, parts=parts, found=found, unlabeled=unlabeled, whole=changed[id(self.whole)])

    @property
    def marked(self) -> tuple[str, ...]:
        """Name the parts that the data itself set apart."""
        return tuple(name for name in self.found if name != "all")

    def pick(self, split: str | None = None, trained_on: TrainedOn | None = None) -> Dataset:
        """Return a part, or "all", with the `reason` why it is that one.

        Without a name it is the test part where the data has one, else all. Pictures of unmarked data that the run
        `trained_on` did not see are its test part: to all others unmarked data is one set. A part that is asked for by
        name is drawn from unmarked data as training draws it. Raises `UsageError` for other names and `DataError` for
        a part that the data lacks.
        """
        if split is None:
            return self._default(trained_on)
        if split not in (*NAMES, "all"):
            raise UsageError(f"split {split!r}", expected="train, val, test or all")
        if split == "all":
            return replace(self.whole, reason="as asked for")
        chosen = {**self.unlabeled, **self.parts}
        if split not in chosen:
            raise DataError(f"{self.whole.name} has no {split} part", expected=f"one of {[*chosen, 'all']}")
        drawn = "as asked for" if split in (*self.marked, *self.unlabeled) else f"as asked for, drawn by {self._draw}"
        return replace(chosen[split], reason=drawn)

    @property
    def _draw(self) -> str:
        return f"split seed {self.seed}: the data marks no such part"

    def _default(self, trained_on: TrainedOn | None) -> Dataset:
        if "test" in self.marked:
            return replace(self.parts["test"], reason="the data has a test part")
        seen = trained_on is not None and trained_on.matches(self.whole.name, self.whole.fingerprint)
        if seen and "test" in self.parts:
            return replace(self.parts["test"], reason=f"the run was trained on the rest, drawn by {self._draw}")
        reason = "the data has no test part" if self.marked else "the data has no parts of its own"
        if "test" in self.unlabeled:
            reason = "the test part has no labels"
        if seen:
            reason += "; the run was trained on some of it"
        return replace(self.whole, reason=reason)


def part_of(name: str) -> str | None:
    """Describe which part the name of a folder, of a file's first word or in a column stands for; None where for none.

    Case does not matter, nor what follows as in `training_set` and `TestImages`.

    >>> [part_of(name) for name in ("test", "Training", "valid_set", "train-station")]
    ['test', 'train', 'val', None]
    """
    word = name.strip().casefold()
    return _PARTS.get(word) or _PARTS.get(_FILLERS.sub("", word))


def make_splits(found: Mapping[str, Dataset], seed: int = SPLIT_SEED) -> Splits:
    """Complete what a source found: parts by name, or "all" for data that marks none.

    Unmarked data is split 80/10/10; unlabeled pictures are not split at all. Data without a val part gives
    10% of train to val. Both are stratified by class and depend on the seed and the ids only.

    >>> from backlight.data.dataset import Dataset
    >>> data = Dataset.of(torch.zeros(50, 3, 2, 2, dtype=torch.uint8), [0, 1] * 25, ["a", "b"])
    >>> {name: len(part) for name, part in make_splits({"all": data}).parts.items()}
    {'train': 42, 'val': 4, 'test': 4}
    """
    if "all" in found:
        whole = found["all"]
        if not whole.labeled:
            return Splits({}, whole, found, seed)
        rows = draw_rows(whole, {"test": 0.1, "val": 0.1}, seed)
        parts = {name: replace(whole.take(rows[name]), split=name) for name in NAMES if len(rows[name])}
        return Splits(parts, whole, found, seed)
    every = {name: replace(found[name], split=name) for name in NAMES if name in found and len(found[name])}
    if not every:
        raise DataError("a data set without pictures", expected="at least one picture")
    bare = {name: part for name, part in every.items() if part.targets is None and not bool((part.labels >= 0).any())}
    unlabeled = bare if len(bare) < len(every) else {}
    parts = {name: part for name, part in every.items() if name not in unlabeled}
    told = tuple(
        f"left out the {name} part: {counted(len(part), 'picture')} without labels" for name, part in bare.items()
    )
    parts = {name: replace(part, notes=(*part.notes, *(told if unlabeled else ()))) for name, part in parts.items()}
    kept, whole = dict(parts), join(list(parts.values()))
    if "val" not in parts and "train" in parts:
        rows = draw_rows(parts["train"], {"val": 0.1}, seed)
        if len(rows["val"]):
            train = parts["train"]
            parts |= {name: replace(train.take(rows[name]), split=name) for name in ("train", "val")}
    return Splits({name: parts[name] for name in NAMES if name in parts}, whole, kept, seed, unlabeled)


def draw_rows(data: Dataset, fractions: Mapping[str, float], seed: int) -> dict[str, Tensor]:
    """Draw the rows of the named parts and of "train", which gets the rest, class by class.

    A class of three pictures or more gives at least one to each part; a smaller one stays in train. Rows come
    in their original order.
    """
    draws = Random(("split", seed), list(data.ids)).uniform(dtype=torch.float64)
    order = draws.argsort(stable=True)
    order = order[data.labels[order].argsort(stable=True)]
    counts = data.labels[order].unique_consecutive(return_counts=True)[1]
    chosen: dict[str, list[Tensor]] = {name: [] for name in NAMES}
    for members in order.split(counts.tolist()):
        start = 0
        for name, fraction in fractions.items() if len(members) >= 3 else ():
            stop = start + max(1, round(len(members) * fraction))
            chosen[name].append(members[start:stop])
            start = stop
        chosen["train"].append(members[start:])
    empty = torch.zeros(0, dtype=torch.int64)
    return {name: torch.cat([empty, *rows]).sort().values for name, rows in chosen.items()}


def join(parts: Sequence[Dataset]) -> Dataset:
    """Put data sets with the same label names one behind the other."""
    first = parts[0]
    if any(part.label_names != first.label_names for part in parts):
        raise DataError("parts with different label names", expected="the same classes in every part")
    return replace(
        first,
        pictures=Joined(tuple(part.pictures for part in parts)),
        ids=tuple(key for part in parts for key in part.ids),
        labels=torch.cat([part.labels for part in parts]),
        masks={},
        views={},
        failed=tuple(dict.fromkeys(failure for part in parts for failure in part.failed)),
        targets=None if first.targets is None else torch.cat([_targets(part) for part in parts]),
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
        split="all",
    )


def _targets(part: Dataset) -> Tensor:
    if part.targets is None:
        raise DataError(f"{part.split} has one label a picture, other parts several", expected="one kind of labels")
    return part.targets


def number_labels(names: Mapping[str, Sequence[str]], source: str) -> tuple[tuple[str, ...], dict[str, Tensor]]:
    """Turn label names per part into one numbering: the names in order, and int64 labels per part.

    The names are those of "train" (or of the only part), sorted, as numbers where all are whole numbers. Raises
    `DataError` naming the part when another one holds a class that train lacks. Names are compared in NFC.

    >>> number_labels({"train": ["dog", "cat"], "test": ["dog"]}, "pets")
    (('cat', 'dog'), {'train': tensor([1, 0]), 'test': tensor([1])})
    """
    # One class may be written with composed accents in one part and with decomposed ones in another.
    names = {part: [normal(value) for value in values] for part, values in names.items()}
    reference = "train" if "train" in names else next(iter(names))
    ordered = sort_names(set(names[reference]))
    place = {name: number for number, name in enumerate(ordered)}
    for part, values in names.items():
        new = sort_names(set(values) - set(ordered))
        if new:
            raise DataError(
                f"{source}: {part} holds classes that {reference} lacks: {', '.join(map(repr, new[:5]))}",
                expected="the same class names in every part",
                hint=f"add them to {reference}, or remove them from {part}",
            )
    labels = {part: [place[value] for value in values] for part, values in names.items()}
    return ordered, {part: torch.tensor(numbers, dtype=torch.int64) for part, numbers in labels.items()}


def sort_names(names: set[str]) -> tuple[str, ...]:
    """Sort class names; whole numbers by value.

    >>> sort_names({"10", "9"}), sort_names({"10", "9", "a"})
    (('9', '10'), ('10', '9', 'a'))
    """
    numeric = all(name.isascii() and name.isdigit() and len(name) < 10 for name in names)
    return tuple(sorted(names, key=lambda name: (int(name), name) if numeric else (0, name)))
