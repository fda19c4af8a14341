"""Picture files in batches; a file that cannot be read is noted and the others go on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from backlight.core.errors import Failure, FileError, InputError
from backlight.core.progress import Progress, reporting

T = TypeVar("T", covariant=True)


class Reader(Protocol[T]):
    """What reads one picture file as a model wants it; a `Classifier` does."""

    def read(self, path: str | os.PathLike[str]) -> T:
        """Read a picture file; raises FileError for one that cannot be read."""
        ...


def read_batches(
    reader: Reader[T],
    paths: Sequence[str | os.PathLike[str]],
    batch_size: int,
    failed: list[Failure],
    *,
    progress: Progress | None = None,
    description: str = "pictures",
) -> Iterator[list[T]]:
    """Yield lists of at most `batch_size` pictures as `reader` gives them; add unreadable files to `failed`.

    Progress counts a batch as finished when the next one is asked for. Raises InputError for a batch size below 1.

    >>> from torch import nn
    >>> from backlight.classifier import Classifier
    >>> classifier = Classifier.from_module(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), size=2)
    >>> failed = []
    >>> list(read_batches(classifier, ["nowhere.png"], 4, failed)), failed[0].path
    ([], 'nowhere.png')
    """
    if batch_size < 1:
        raise InputError(f"batch size {batch_size}", expected="at least 1")
    with reporting(progress, len(paths), description) as advance:
        for start in range(0, len(paths), batch_size):
            named = paths[start : start + batch_size]
            batch: list[T] = []
            for path in named:
                try:
                    batch.append(reader.read(path))
                except FileError as error:
                    failed.append(Failure.of(str(Path(path)), error))
            if batch:
                yield batch
            advance(len(named))


def unique_stems(paths: Sequence[str | os.PathLike[str]]) -> list[str]:
    """Return for each path a file name without suffix of its own; equal ones are numbered, long ones shortened.

    >>> unique_stems(["a/cat.jpg", "b/cat.png", "dog.png"])
    ['cat', 'cat-2', 'dog']
    """
    used: set[str] = set()
    stems = []
    for path in paths:
        stem = unique = _shortened(Path(path).stem)
        number = 1
        while unique in used:
            number += 1
            unique = f"{stem}-{number}"
        used.add(unique)
        stems.append(unique)
    return stems


_LONGEST = 150
"""Bytes of a stem: names have at most 255 on most file systems, and method, layer and suffix come behind it."""


def _shortened(stem: str) -> str:
    raw = os.fsencode(stem)
    if len(raw) <= _LONGEST:
        return stem
    digest = hashlib.blake2b(raw, digest_size=4).hexdigest()
    return f"{os.fsdecode(raw[: _LONGEST - 9]).encode('utf-8', 'ignore').decode('utf-8', 'ignore')}-{digest}"
