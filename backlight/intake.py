"""Picture files in batches; a file that cannot be read is noted and the others go on."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from backlight.classifier import Classifier
from backlight.errors import FileError
from backlight.images import Picture


@dataclass(frozen=True)
class Failed:
    """A picture file that could not be read, and why.

    >>> Failed("a.txt", "not a picture").to_json()
    {'path': 'a.txt', 'error': 'not a picture'}
    """

    path: str
    error: str

    def to_json(self) -> dict[str, str]:
        """Give `{"path", "error"}`."""
        return {"path": self.path, "error": self.error}


def read_batches(
    classifier: Classifier, paths: Sequence[str | os.PathLike[str]], batch_size: int, failed: list[Failed]
) -> Iterator[list[Picture]]:
    """Yield lists of at most `batch_size` pictures as `classifier` wants them; add unreadable files to `failed`.

    >>> from torch import nn
    >>> classifier = Classifier.from_module(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), size=2)
    >>> failed = []
    >>> list(read_batches(classifier, ["nowhere.png"], 4, failed)), failed[0].path
    ([[]], 'nowhere.png')
    """
    for start in range(0, len(paths), batch_size):
        batch = []
        for path in paths[start : start + batch_size]:
            try:
                batch.append(classifier.read(path))
            except FileError as error:
                failed.append(Failed(str(Path(path)), str(error).removeprefix(f"{error.path}: ")))
        yield batch
