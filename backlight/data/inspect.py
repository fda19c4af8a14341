"""Look at a data set before training on it: counts, sizes, broken files, duplicates, a contact sheet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from backlight.core.errors import Failure, FileError, counted
from backlight.core.progress import Progress, reporting
from backlight.data.copies import near_groups
from backlight.data.dataset import Dataset
from backlight.data.decoded import THREADS
from backlight.data.duplicates import Print, exact_groups, take_print
from backlight.data.fitted import to_pil
from backlight.data.pictures import try_one
from backlight.data.splits import Splits
from backlight.images import DECODING
from backlight.images.sheets import grid
from backlight.table import Table


@dataclass(frozen=True)
class Duplicates:
    """Pictures that are the same, exactly or nearly: their ids, parts and class names, in the same order."""

    ids: tuple[str, ...]
    parts: tuple[str, ...]
    labels: tuple[str, ...]
    exact: bool

    @property
    def across_parts(self) -> bool:
        """Whether a picture of one part is known from another, so that a score would be too good."""
        return len(set(self.parts)) > 1

    @property
    def labels_differ(self) -> bool:
        """Whether the same picture has different labels, of which at most one can be right."""
        return len(set(self.labels)) > 1


@dataclass(frozen=True)
class Inspection:
    """Hold what is to be known of a data set.

    `counts` maps each part that the data itself has to the number of readable pictures per class, `sizes` (height,
    width) to a number, `failed` names files that cannot be used, `mean` and `std` are per channel in [0,1] (of all
    parts), `table` has one row per readable picture: id, label, part, height, width, and its group of duplicates or -1.
    """

    name: str
    counts: Mapping[str, Mapping[str, int]]
    sizes: Mapping[tuple[int, int], int]
    failed: tuple[Failure, ...]
    duplicates: tuple[Duplicates, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    table: Table = field(repr=False)

    def warnings(self) -> list[str]:
        """Describe in words what deserves attention.

        >>> from backlight.data import load_splits
        >>> inspect_data(load_splits("shapes:n=40,size=16,classes=4")).warnings()
        []
        """
        across = [group for group in self.duplicates if group.across_parts]
        differ = [group for group in self.duplicates if group.labels_differ]
        found = []
        if self.failed:
            found += [f"{counted(len(self.failed), 'file')} cannot be used, such as {self.failed[0].path}"]
        for part, counts in self.counts.items():
            absent = [name for name, count in counts.items() if not count]
            if absent:
                found.append(f"{part} has no picture of {', '.join(absent[:5])}")
            present = [count for count in counts.values() if count]
            if present and max(present) >= 10 * min(present):
                found.append(f"{part} is unbalanced: {min(present)} to {max(present)} pictures a class")
        if across:
            verb = "lies" if len(across) == 1 else "lie"
            found.append(
                f"{counted(len(across), 'picture')} {verb} in several parts, such as {' = '.join(across[0].ids[:2])}"
            )
        if differ:
            verb = "has" if len(differ) == 1 else "have"
            found.append(
                f"{counted(len(differ), 'picture')} {verb} several labels, such as {' = '.join(differ[0].ids[:2])}"
            )
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return all but the table as plain data for JSON."""
        return {
            "name": self.name,
            "n": len(self.table),
            "counts": {part: dict(counts) for part, counts in self.counts.items()},
            "sizes": {f"{height}x{width}": count for (height, width), count in self.sizes.items()},
            "broken": [failure._asdict() for failure in self.failed],
            "duplicates": [
                {"ids": list(group.ids), "parts": list(group.parts), "labels": list(group.labels), "exact": group.exact}
                for group in self.duplicates
            ],
            "mean": list(self.mean),
            "std": list(self.std),
            "warnings": self.warnings(),
        }


@dataclass
class _Survey:
    """What one pass over the pictures gathers."""

    ids: list[str] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    prints: list[Print] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    moments: list[Tensor] = field(default_factory=list)
    rows: dict[str, list[int]] = field(default_factory=dict)


def inspect_data(splits: Splits, progress: Progress | None = None) -> Inspection:
    """Read every picture of a data set once and report on it; memory holds a print of each, not the pixels.

    >>> from backlight.data import load_splits
    >>> found = inspect_data(load_splits("shapes:n=40,size=16,classes=4"))
    >>> found.counts["all"], found.sizes
    ({'circle': 10, 'square': 10, 'triangle': 10, 'star': 10}, {(16, 16): 40})
    """
    parts = {**splits.found, **splits.unlabeled}
    survey = _Survey()
    with reporting(progress, sum(map(len, parts.values())), f"inspect {splits.whole.name}") as advance:
        for part, data in parts.items():
            survey.failed += [failure for failure in data.failed if failure not in survey.failed]
            for rows in torch.arange(len(data)).split(64):
                _look(survey, part, data, rows.tolist())
                advance(len(rows))
    duplicates = _duplicates(survey)
    mean, std = _moments(survey.moments)
    sizes = dict(Counter(survey.sizes).most_common())
    counts = {part: data.take(survey.rows.get(part, [])).counts for part, data in parts.items()}
    return Inspection(
        splits.whole.name, counts, sizes, tuple(survey.failed), duplicates, mean, std, _table(survey, duplicates)
    )


def contact_sheet(data: Dataset, per_class: int = 8, *, side: int = 64, most: int = 160) -> Image.Image:
    """Lay out the first readable pictures of each class, class by class, scaled into squares of `side` pixels.

    >>> from backlight.data import load_data
    >>> contact_sheet(load_data("shapes:n=40,size=16,classes=4", split="all"), per_class=2).mode
    'RGB'
    """
    classes = data.labels.unique().tolist()
    labeled = data.labeled
    each = max(1, min(per_class, most // max(1, len(classes)))) if labeled else most
    pictures: list[Image.Image] = []
    captions: list[str] = []
    for label in classes[:most]:
        rows = _readable_rows(data, (data.labels == label).nonzero()[:, 0].tolist(), each)
        pictures += [_fitted(data.pictures.one(row), side) for row in rows]
        captions += [data.label_names[label] if labeled else data.ids[row] for row in rows]
        if labeled and each > 1:  # every class begins a line
            pictures += [Image.new("RGB", (side, 1), "white")] * (each - len(rows))
            captions += [""] * (each - len(rows))
    if not any(captions):
        raise FileError(data.name, "no readable picture to show")
    return grid(pictures, each if labeled and each > 1 else 10, captions)


def _readable_rows(data: Dataset, rows: list[int], count: int) -> list[int]:
    found = (row for row in rows if isinstance(try_one(data.pictures, row), Tensor))
    return list(islice(found, count))


def _fitted(image: Tensor, side: int) -> Image.Image:
    picture = to_pil(image)
    scale = side / max(picture.size)
    return picture.resize([max(1, round(length * scale)) for length in picture.size])


def _look(survey: _Survey, part: str, data: Dataset, rows: list[int]) -> None:
    def one(row: int) -> tuple[Print, Tensor, tuple[int, int]] | FileError:
        with DECODING.shared():  # a large picture is looked at whole
            image = try_one(data.pictures, row)
            if isinstance(image, FileError):
                return image
            return take_print(image), _moments_of(image), (image.shape[1], image.shape[2])

    with ThreadPoolExecutor(THREADS) as pool:
        results = list(pool.map(one, rows))
    for row, result in zip(rows, results):
        if isinstance(result, FileError):
            survey.failed.append(Failure.of(data.ids[row], result))
            continue
        label = int(data.labels[row])
        survey.ids.append(data.ids[row])
        survey.parts.append(part)
        survey.rows.setdefault(part, []).append(row)
        survey.labels.append(data.label_names[label] if label >= 0 else "")
        survey.prints.append(result[0])
        survey.moments.append(result[1])
        survey.sizes.append(result[2])


def _moments_of(image: Tensor) -> Tensor:
    """Return the mean and the mean square of each channel, float64 [2,C], in [0,1], from counts of its 256 levels."""
    counts = torch.stack([channel.flatten().bincount(minlength=256) for channel in image]).double()
    levels = torch.arange(256, dtype=torch.float64) / 255
    return torch.stack([counts @ levels, counts @ levels.square()]) / counts.sum(1)


def _duplicates(survey: _Survey) -> tuple[Duplicates, ...]:
    exact = exact_groups(survey.prints)
    known = {tuple(places) for places in exact}
    near = [places for places in near_groups(survey.prints) if tuple(places) not in known]

    def group(places: list[int], same: bool) -> Duplicates:
        columns = (survey.ids, survey.parts, survey.labels)
        ids, parts, labels = (tuple(column[place] for place in places) for column in columns)
        return Duplicates(ids, parts, labels, same)

    return tuple([group(places, True) for places in exact] + [group(places, False) for places in near])


def _moments(moments: list[Tensor]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if not moments:
        return (), ()
    mean, square = torch.stack(moments).mean(0)
    return tuple(mean.tolist()), tuple((square - mean * mean).clamp(min=0).sqrt().tolist())


def _table(survey: _Survey, duplicates: tuple[Duplicates, ...]) -> Table:
    group = {key: number for number, one in reversed(list(enumerate(duplicates))) for key in one.ids}
    return Table.of(
        id=survey.ids,
        label=survey.labels,
        part=survey.parts,
        height=[height for height, _ in survey.sizes],
        width=[width for _, width in survey.sizes],
        duplicates=[group.get(key, -1) for key in survey.ids],
    )
