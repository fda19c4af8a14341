"""The page of a data set: what it holds, what of it is broken, what occurs twice, and a sheet of every class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from backlight.core.errors import Failure, counted
from backlight.data.dataset import Dataset
from backlight.data.inspect import Duplicates, Inspection
from backlight.data.splits import Splits
from backlight.page.sections import Section
from backlight.report.fill import fill
from backlight.report.gallery import Captioned, Thumbnail, read_thumbnails

_PER_CLASS, _CLASSES, _GROUPS, _PER_GROUP, _FAILED, _SIZES = 8, 60, 40, 6, 100, 20
_UNLABELED = "without a label"


@dataclass(frozen=True)
class Twice:
    """A group of equal or nearly equal pictures: what to think of it, and its pictures.

    >>> Twice("equal, in several parts", 3, ()).left
    3
    """

    words: str
    count: int
    shown: tuple[Captioned, ...]

    @property
    def left(self) -> int:
        """Count the pictures that are not shown."""
        return self.count - len(self.shown)


@dataclass(frozen=True)
class Sheet:
    """Some pictures of a class, and how many it has.

    >>> Sheet("cat", 12, ()).count
    12
    """

    label: str
    count: int
    shown: tuple[Captioned, ...]


def inspection_sections(found: Inspection, splits: Splits) -> list[Section]:
    """Write the sections about a data set: counts, sizes, broken files, duplicates, and a sheet per class.

    At most some hundreds of small pictures are embedded, however many the data holds.

    >>> from backlight.data import load_splits
    >>> from backlight.data.inspect import inspect_data
    >>> splits = load_splits("shapes:n=20,size=16,classes=2")
    >>> [section.anchor for section in inspection_sections(inspect_data(splits), splits)]
    ['counts', 'duplicates', 'classes']
    """
    whole = splits.whole
    sheets = dict(_rows_by_class(found, whole))
    groups = sorted(found.duplicates, key=lambda one: (not one.labels_differ, not one.across_parts, not one.exact))
    wanted = [key for one in groups[:_GROUPS] for key in one.ids[:_PER_GROUP]]
    # The first of every class before the second of any: where room ends, every class still shows something.
    wanted += [keys[place] for place in range(_PER_CLASS) for keys in sheets.values() if place < len(keys)]
    thumbnails = read_thumbnails(whole, wanted)
    facts = {
        "stored": list(thumbnails.values()),
        "groups": [_twice(one, thumbnails) for one in groups[:_GROUPS]],
        "more": max(0, len(groups) - _GROUPS),
        "exact": sum(one.exact for one in groups),
        "near": sum(not one.exact for one in groups),
    }
    sections = [
        Section("counts", "What it holds", fill("inspection.html", _counted(found, splits))),
        Section("duplicates", "Pictures that occur twice", fill("duplicates.html", facts)),
        Section("classes", "Some pictures of every class", fill("sheets.html", _sheets(found, sheets, thumbnails))),
    ]
    if found.failed:
        sections.insert(1, Section("broken", "Files that cannot be used", fill("broken.html", _broken(found.failed))))
    return sections


def inspection_headline(found: Inspection) -> str:
    """Say how many pictures of how many classes there are, and what deserves attention first.

    >>> from backlight.data import load_splits
    >>> from backlight.data.inspect import inspect_data
    >>> inspection_headline(inspect_data(load_splits("shapes:n=20,size=16,classes=2")))
    '20 pictures of 2 classes, nothing amiss'
    """
    classes = {name for counts in found.counts.values() for name in counts}
    held = f"{counted(len(found.table), 'picture')} of {counted(len(classes), 'class')}"
    first, *others = found.warnings() or [""]
    more = f", and {counted(len(others), 'more warning')}" if others else ""
    return f"{held}: {first}{more}" if first else f"{held}, nothing amiss"


def _counted(found: Inspection, splits: Splits) -> dict[str, object]:
    parts = list(found.counts)
    names = list(dict.fromkeys(name for counts in found.counts.values() for name in counts))
    rows = [(name, [found.counts[part].get(name, 0) for part in parts]) for name in names]
    by_part = Counter(found.table["part"].tolist())
    sizes = list(found.sizes.items())
    return {
        "n": len(found.table),
        "parts": [(part, by_part[part]) for part in parts],
        "rows": rows,
        "largest": max((count for _, counts in rows for count in counts), default=1) or 1,
        "sizes": sizes[:_SIZES],
        "more_sizes": max(0, len(sizes) - _SIZES),
        "mean": found.mean,
        "std": found.std,
        "warnings": found.warnings(),
        "notes": splits.whole.notes,
    }


def _broken(failed: Sequence[Failure]) -> dict[str, object]:
    rows = [(one.path, one.error) for one in failed[:_FAILED]]
    return {"rows": rows, "count": len(failed), "more": max(0, len(failed) - _FAILED)}


def _rows_by_class(found: Inspection, data: Dataset) -> Iterator[tuple[str, list[str]]]:
    """Yield the ids of some readable pictures of each class, spread over all that it has."""
    readable = set(found.table.ids)
    classes: dict[str, list[str]] = {name: [] for name in data.label_names}
    if data.targets is not None:
        for row, column in data.targets.nonzero().tolist():
            classes[data.label_names[column]].append(data.ids[row])
    else:
        for key, label in zip(data.ids, data.labels.tolist(), strict=True):
            name = data.label_names[label] if label >= 0 else _UNLABELED
            classes.setdefault(name, []).append(key)
    for name, keys in list(classes.items())[:_CLASSES]:
        good = [key for key in keys if key in readable]
        yield name, good[:: max(1, -(-len(good) // _PER_CLASS))]


def _sheets(found: Inspection, sheets: dict[str, list[str]], thumbnails: dict[str, Thumbnail]) -> dict[str, object]:
    counts: dict[str, int] = {}
    for part in found.counts.values():
        for name, count in part.items():
            counts[name] = counts.get(name, 0) + count
    counts.setdefault(_UNLABELED, sum(not label for label in found.table["label"].tolist()))
    shown = [Sheet(name, counts[name], _captioned(keys, [""] * len(keys), thumbnails)) for name, keys in sheets.items()]
    return {"sheets": shown, "more": max(0, len(counts) - 1 - _CLASSES)}


def _twice(group: Duplicates, thumbnails: dict[str, Thumbnail]) -> Twice:
    words = "equal" if group.exact else "nearly equal"
    words += ", with different labels: at most one can be right" if group.labels_differ else ""
    words += ", in several parts: a score of one knows the other" if group.across_parts else ""
    captions = [f"{label or _UNLABELED}, {part}" for label, part in zip(group.labels, group.parts, strict=True)]
    return Twice(words, len(group.ids), _captioned(group.ids[:_PER_GROUP], captions, thumbnails))


def _captioned(keys: Sequence[str], captions: Sequence[str], thumbnails: dict[str, Thumbnail]) -> tuple[Captioned, ...]:
    pairs = [(key, words) for key, words in zip(keys, captions) if key in thumbnails]
    return tuple(Captioned(key, words, thumbnails[key]) for key, words in pairs)
