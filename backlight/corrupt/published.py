"""Stored corruptions as one data set: each picture with its views by kind and severity, and clean where it is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import torch

from backlight.core.errors import DataError, counted
from backlight.corrupt.layouts import find_kinds, read_kind
from backlight.corrupt.request import CorruptionRequest, view_name
from backlight.data.dataset import Dataset


def read_stored(
    root: Path,
    kinds: str = "published",
    severities: str | Sequence[int] = "1-5",
    *,
    clean: Dataset | None = None,
    stability: bool = False,
    follow_links: bool = False,
) -> tuple[Dataset, CorruptionRequest]:
    """Read CIFAR-10-C, ImageNet-C and what is stored like them, with the request that looks at it.

    Pictures of folders are matched by name over kinds and severities, rows of arrays by their place; those that are
    not stored everywhere are left out with a note. With `clean`, the same pictures before they were corrupted, ids and
    labels are theirs; without it nothing is known of clean accuracy.

    Raises DataError where nothing matches, UsageError for kinds that are not there, and as `read_kind`.

    >>> import tempfile, numpy as np
    >>> root = Path(tempfile.mkdtemp())
    >>> np.save(root / "fog.npy", np.zeros((10, 8, 8, 3), np.uint8)); np.save(root / "labels.npy", np.tile([3, 5], 5))
    >>> data, request = read_stored(root)
    >>> len(data), request.names, data.view("fog/5").read([0]).shape
    (2, ('fog',), torch.Size([1, 3, 8, 8]))
    """
    where = find_kinds(root)
    if not where:
        raise DataError(f"{root} holds no stored corruptions", expected="KIND/SEVERITY/class/picture or KIND.npy")
    request = CorruptionRequest.of(
        kinds, severities=severities, stability=stability, stored=tuple(where), clean=clean is not None
    )
    parts = {
        view_name(name, severity): part
        for name in request.names
        for severity, part in read_kind(root, where[name], request.severities, follow_links=follow_links).items()
    }
    by_place = next(iter(where.values())).suffix == ".npy"
    return (_joined(root, parts) if clean is None else _paired(root, parts, clean, by_place)), request


def _joined(root: Path, parts: Mapping[str, Dataset]) -> Dataset:
    """Make the first part the data, and all of them its views."""
    first = next(iter(parts.values()))
    shared = set.intersection(*(set(part.ids) for part in parts.values()))
    data = first.take([row for row, one in enumerate(first.ids) if one in shared])
    if not len(data):
        raise DataError(f"{root}: no picture is stored under every kind and severity", expected=str(first.ids[0]))
    return _with_views(replace(data, name=str(root)), parts, {one: one for one in data.ids})


def _paired(root: Path, parts: Mapping[str, Dataset], clean: Dataset, by_place: bool) -> Dataset:
    """Give clean pictures their stored views, and check that labels agree."""
    stored = _joined(root, parts)
    if by_place and len(clean) != len(stored):
        found = f"{counted(len(clean), 'clean picture')} for {len(stored)} stored ones of {root}"
        raise DataError(found, expected="the same pictures in the same order", hint="another --clean or --split")
    theirs, ours = _matching(clean.ids, stored.ids, by_place)
    rows = [row for row, one in enumerate(theirs) if one in ours]
    if not rows:
        found = f"no clean picture is named as one of {root}, such as {stored.ids[0]}"
        raise DataError(found, expected=f"the same names, not {clean.ids[0]}")
    paired = _with_views(clean.take(rows), parts, {clean.ids[row]: ours[theirs[row]] for row in rows})
    place = {one: row for row, one in enumerate(stored.ids)}
    _check_classes(paired, stored.take([place[ours[theirs[row]]] for row in rows]))
    return paired


def _with_views(data: Dataset, parts: Mapping[str, Dataset], names: Mapping[str, str]) -> Dataset:
    """Add the views of a data set; `names` tells what each of its pictures is called in the parts."""
    views = {}
    for view, part in parts.items():
        place = {one: row for row, one in enumerate(part.ids)}
        views[view] = part.take([place[names[one]] for one in data.ids]).pictures
    most = max(len(part) for part in parts.values())
    left = f"left out {counted(most - len(data), 'stored picture')} of {most}: not under every kind, or not clean too"
    failed = tuple(dict.fromkeys((*data.failed, *(one for part in parts.values() for one in part.failed))))
    return replace(data, views=views, failed=failed, notes=(*data.notes, *((left,) if most > len(data) else ())))


def _matching(clean: Sequence[str], stored: Sequence[str], by_place: bool) -> tuple[list[str], dict[str, str]]:
    """Return a key for each clean picture, and the stored pictures by key.

    By name whatever folder they are in and however they are encoded, with the class where names repeat.

    >>> _matching(["val/n01/a.JPEG"], ["n01/a.png", "n02/b.png"], by_place=False)
    (['a'], {'a': 'n01/a.png', 'b': 'n02/b.png'})
    """
    if by_place:
        return [str(row) for row in range(len(clean))], {one: one for one in stored}
    paths = [[PurePosixPath(one) for one in ids] for ids in (clean, stored)]
    keys = [[path.stem for path in several] for several in paths]
    if any(len(set(names)) < len(names) for names in keys):
        keys = [[f"{path.parent.name}/{path.stem}" for path in several] for several in paths]
    return keys[0], dict(zip(keys[1], stored))


def _check_classes(clean: Dataset, stored: Dataset) -> None:
    """Raise DataError unless pictures that share a class in one share it in the other: names may differ."""
    if not clean.labeled:
        raise DataError(f"{clean.name} has pictures without labels", expected="all labeled")
    pairs = torch.stack([clean.labels, stored.labels], 1).unique(dim=0)
    for side, (one, other) in enumerate(((clean, stored), (stored, clean))):
        counts = pairs[:, side].bincount()
        if bool((counts > 1).any()):
            label = int(counts.argmax())
            names = [other.label_names[int(pair[1 - side])] for pair in pairs[pairs[:, side] == label]]
            found = f"{one.label_names[label]} in {one.name} is {' and '.join(map(repr, names[:3]))} in {other.name}"
            raise DataError(found, expected="the same pictures, by name or in the same order")
