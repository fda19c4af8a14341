"""A data set whose pictures are corrupted when they are read, so that they can be written as files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from backlight.core.errors import UsageError
from backlight.core.grammar import parse_spec
from backlight.core.random import Random, Seed
from backlight.corrupt.corrupting import Kind, corrupt
from backlight.corrupt.registry import CorruptionCard, corruption_of
from backlight.corrupt.severities import check_severity
from backlight.data.dataset import Dataset
from backlight.data.pictures import PictureSource
from backlight.images.picture import to_floats


@dataclass(frozen=True, eq=False, repr=False)
class CorruptedPictures:
    """Corrupt the pictures of another source, each keyed by (seed, kind, severity, id)."""

    inner: PictureSource
    ids: tuple[str, ...]
    card: CorruptionCard
    severity: int
    seed: Seed = 0

    def __len__(self) -> int:
        return len(self.inner)

    def one(self, row: int) -> Tensor:
        """Return one picture, uint8 [C,H,W]; raises `FileError` when it is broken."""
        return self._corrupted(self.inner.one(row)[None], [row])[0]

    def read(self, rows: Sequence[int]) -> Tensor:
        """Return some pictures of one size, uint8 [A,C,H,W]."""
        return self._corrupted(self.inner.read(rows), rows)

    def _corrupted(self, images: Tensor, rows: Sequence[int]) -> Tensor:
        random = Random(self.seed, [self.ids[int(row)] for row in rows])
        return (corrupt(to_floats(images), self.card, self.severity, random=random) * 255).round().byte()


def corrupted(data: Dataset, kind: Kind, severity: int, *, seed: Seed = 0) -> Dataset:
    """Return a data set with corrupted pictures, its ids and labels as they were.

    >>> import torch
    >>> data = Dataset.of(torch.full((2, 3, 8, 8), 100, dtype=torch.uint8))
    >>> bool((corrupted(data, "brightness", 5).read([0]) > 100).all())
    True
    """
    source = CorruptedPictures(data.pictures, data.ids, corruption_of(kind), check_severity(severity), seed)
    return replace(data, pictures=source)


def parse_corruption(spec: str) -> tuple[CorruptionCard, int]:
    """Read `fog:severity=3`; the severity is 3 where none is named.

    Raises UsageError for unknown kinds, options and severities.

    >>> parse_corruption("fog:severity=2")[1]
    2
    """
    parsed = parse_spec(spec)
    unknown = set(parsed.options) - {"severity"}
    if unknown:
        raise UsageError(f"corruption {spec!r}", expected="KIND:severity=1 to 5, as in fog:severity=3")
    return corruption_of(parsed.name), check_severity(parsed.integer("severity", 3))
