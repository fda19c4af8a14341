"""The one Dataset: numbered pictures with ids, labels and label names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from backlight.core.display import Displayed
from backlight.core.errors import DataError, Failure, counted
from backlight.core.progress import Progress
from backlight.data.batch import Batch, Rows, row_numbers
from backlight.data.consistency import check_consistent
from backlight.data.fitted import fitted
from backlight.data.pictures import Memory, PictureSource, select
from backlight.data.readable import read_all, read_readable, read_stacked, try_all
from backlight.data.sampling import draw_sample
from backlight.data.stamps import hash_data
from backlight.images import Resize, to_floats


@dataclass(frozen=True, eq=False, repr=False)
class Dataset(Displayed):
    """Hold pictures with ids, labels int64 [N] and label names; -1 is the label of an unlabeled picture.

    Pictures that may have several labels have `targets`, bool [N,classes], and -1 as their label. `masks` holds
    pictures of 0 and 1 by name ("object", "patch") where they are known, `views` other pictures of the same things,
    such as stored corruptions ("fog/3"). `failed` names files that were found broken
    and left out, `notes` tells in sentences what else was. `split` says which part of the data this is, and `reason`
    why it is that one. Raises `DataError` when lengths differ, ids repeat or labels lie outside of the names.

    >>> from backlight.data import Dataset
    >>> data = Dataset.of(torch.zeros(4, 3, 8, 8, dtype=torch.uint8), labels=[0, 1, 1, 0], label_names=["a", "b"])
    >>> len(data), data.ids, data[1:3].labels.tolist(), data[1:3].images.shape
    (4, ('0', '1', '2', '3'), [1, 1], torch.Size([2, 3, 8, 8]))
    """

    pictures: PictureSource
    ids: tuple[str, ...]
    labels: Tensor
    label_names: tuple[str, ...] = ()
    split: str = "all"
    name: str = "data"
    masks: Mapping[str, PictureSource] = field(default_factory=dict)
    failed: tuple[Failure, ...] = ()
    targets: Tensor | None = None
    reason: str = ""
    notes: tuple[str, ...] = ()
    views: Mapping[str, PictureSource] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_consistent(len(self.pictures), self.ids, self.labels, self.label_names, self.targets)

    @staticmethod
    def of(
        images: Tensor,
        labels: Sequence[int] | Tensor | None = None,
        label_names: Sequence[str] = (),
        ids: Sequence[str] | None = None,
    ) -> Dataset:
        """Wrap images in memory, uint8 [N,C,H,W]; ids default to the row numbers."""
        if images.dtype != torch.uint8 or images.ndim != 4:
            raise DataError(f"images {images.dtype} {tuple(images.shape)}", expected="uint8 [N,C,H,W]")
        kept = torch.full((len(images),), -1) if labels is None else torch.as_tensor(labels, dtype=torch.int64)
        names = tuple(str(row) for row in range(len(images))) if ids is None else tuple(ids)
        return Dataset(Memory(images), names, kept, tuple(label_names))

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"Dataset({self.name}, {self.split}: {len(self)} pictures, {len(self.label_names)} classes)"

    @property
    def labeled(self) -> bool:
        """Whether every picture has a label."""
        return len(self) > 0 and bool((self.labels >= 0).all())

    @property
    def counts(self) -> dict[str, int]:
        """Count the pictures of each class, by name; one with several labels counts for each."""
        if self.targets is not None:
            return dict(zip(self.label_names, self.targets.sum(0).tolist()))
        counts = self.labels[self.labels >= 0].bincount(minlength=len(self.label_names))
        return dict(zip(self.label_names, counts.tolist()))

    def read(self, rows: Rows) -> Tensor:
        """Return pixels as stored, uint8 [A,C,H,W]; raises `FileError` for a broken picture."""
        return self.pictures.read(row_numbers(rows, len(self)).tolist())

    def mask(self, name: str, rows: Rows) -> Tensor:
        """Return a mask, bool [A,H,W]; raises `DataError` when there is none of that name."""
        if name not in self.masks:
            raise DataError(f"no mask {name!r}", expected=f"one of {sorted(self.masks)}")
        return self.masks[name].read(row_numbers(rows, len(self)).tolist())[:, 0].bool()

    def view(self, name: str) -> Dataset:
        """Return the same things with their other pictures of that name; raises `DataError` when there are none.

        >>> from backlight.data.pictures import Memory
        >>> dark, light = (torch.full((2, 3, 4, 4), one, dtype=torch.uint8) for one in (10, 90))
        >>> int(replace(Dataset.of(dark), views={"light": Memory(light)}).take([1]).view("light").read([0]).max())
        90
        """
        if name not in self.views:
            raise DataError(f"no view {name!r} of {self.name}", expected=f"one of {sorted(self.views)}")
        return replace(self, pictures=self.views[name], views={}, masks={})

    def __getitem__(self, rows: Rows) -> Batch:
        """Return these rows as a batch; raises `FileError` for a broken picture."""
        wanted = row_numbers(rows, len(self))
        return self._batch(self.read(wanted), wanted)

    def batches(self, size: int) -> Iterator[Batch]:
        """Yield all pictures in order, broken ones named in `failed` and left out."""
        for rows in torch.arange(len(self)).split(size):
            good, pixels, failed = read_stacked(self.pictures, self.ids, rows)
            yield self._batch(pixels, good, failed)

    def take(self, rows: Rows) -> Dataset:
        """Keep these rows, in this order."""
        wanted = row_numbers(rows, len(self))
        chosen = tuple(self.ids[row] for row in wanted.tolist())
        masks = {name: select(mask, wanted) for name, mask in self.masks.items()}
        targets = None if self.targets is None else self.targets[wanted]
        views = {name: select(view, wanted) for name, view in self.views.items()}
        pictures, labels = select(self.pictures, wanted), self.labels[wanted]
        return replace(self, pictures=pictures, ids=chosen, labels=labels, masks=masks, targets=targets, views=views)

    def limited(self, count: int | None) -> Dataset:
        """Keep at most `count` pictures, spread evenly, so that data sorted by class keeps all its classes.

        >>> Dataset.of(torch.zeros(9, 3, 4, 4, dtype=torch.uint8)).limited(3).ids
        ('0', '4', '8')
        """
        if count is None or count >= len(self):
            return self
        if count < 1:
            raise DataError(f"a limit of {count}", expected="at least 1")
        return self.take(torch.linspace(0, len(self) - 1, count, dtype=torch.float64).round().long())

    def sampled(self, count: int | None, seed: int = 0) -> Dataset:
        """Keep `count` pictures, drawn by the seed and their ids so that every class keeps its share.

        Which pictures are drawn does not depend on their order. A class keeps at least one where there is room.

        >>> data = Dataset.of(torch.zeros(90, 3, 4, 4, dtype=torch.uint8), [0] * 60 + [1] * 30, ["a", "b"])
        >>> data.sampled(30).counts, data.sampled(30).notes
        ({'a': 20, 'b': 10}, ('a sample of 30 of 90 pictures, drawn by class with seed 0',))
        """
        if count is None or count >= len(self):
            return self
        if count < 1:
            raise DataError(f"a sample of {count}", expected="at least 1")
        rows = draw_sample(self.labels, self.ids, count, seed)
        told = f"a sample of {count:,} of {counted(len(self), 'picture')}, drawn by class with seed {seed}"
        return replace(self.take(rows), notes=(*self.notes, told))

    def relabeled(self, names: Sequence[str]) -> Dataset:
        """Number the classes as another list of names does, such as a classifier's labels.

        Raises `DataError` when a class that occurs has no place there.

        >>> data = Dataset.of(torch.zeros(2, 3, 4, 4, dtype=torch.uint8), [0, 1], ["cat", "dog"])
        >>> data.relabeled(["dog", "owl", "cat"]).labels.tolist()
        [2, 0]
        """
        place = {name: index for index, name in enumerate(names)}
        lost = [name for name, count in self.counts.items() if count and name not in place]
        if lost:
            raise DataError(f"classes {lost[:5]} of {self.name}", expected="classes among the labels given")
        numbers = torch.tensor([place.get(name, -1) for name in self.label_names] + [-1], dtype=torch.int64)
        targets = None
        if self.targets is not None:
            kept = (numbers[:-1] >= 0).nonzero()[:, 0]
            targets = torch.zeros(len(self), len(names), dtype=torch.bool)
            targets[:, numbers[kept]] = self.targets[:, kept]
        return replace(self, labels=numbers[self.labels], label_names=tuple(names), targets=targets)

    def resized(self, resize: Resize) -> Dataset:
        """Bring every picture to a classifier's input size by its own rule; masks stay as they are."""
        return self._fitted(resize, None)

    def with_channels(self, channels: int) -> Dataset:
        """Bring every picture to a classifier's channels: 1 is luminance (ITU-R 601), 3 is RGB, grey repeated.

        Pictures of another number of channels, which no rule gives, raise `DataError` when they are read.

        >>> Dataset.of(torch.zeros(2, 3, 4, 4, dtype=torch.uint8)).with_channels(1).read([0]).shape
        torch.Size([1, 1, 4, 4])
        """
        return self._fitted(None, channels)

    def _fitted(self, resize: Resize | None, channels: int | None) -> Dataset:
        views = {name: fitted(view, resize, channels) for name, view in self.views.items()}
        return replace(self, pictures=fitted(self.pictures, resize, channels), views=views)

    def in_memory(self, progress: Progress | None = None) -> Dataset:
        """Decode everything once into one tensor; broken pictures are left out and named in `failed`."""
        if isinstance(self.pictures, Memory):
            return self
        kept, memory, failed = read_all(self.pictures, self.ids, f"read {self.name}", progress)
        return replace(self.take(kept), pictures=memory, failed=(*self.failed, *failed))

    def checked(self, progress: Progress | None = None) -> Dataset:
        """Decode everything once, keep nothing of it, and leave the broken pictures out."""
        if isinstance(self.pictures, Memory):
            return self
        kept, broken = try_all(self.pictures, self.ids, f"check {self.name}", progress)
        failed = (*self.failed, *broken)
        return replace(self.take(kept), failed=failed) if failed else self

    def readable(self, rows: Rows) -> tuple[Tensor, list[Tensor], tuple[Failure, ...]]:
        """Read what can be read: the rows int64 [A], their pictures uint8 [C,H,W] of any sizes, and what failed."""
        return read_readable(self.pictures, self.ids, row_numbers(rows, len(self)).tolist())

    def fingerprint(self) -> str:
        """Hash ids, labels, names and the pixels of 16 pictures, to recognize the same data again.

        >>> data = Dataset.of(torch.zeros(2, 3, 4, 4, dtype=torch.uint8))
        >>> data.fingerprint() == data.take([0, 1]).fingerprint() != data.take([0]).fingerprint()
        True
        """
        return hash_data(self.pictures, self.ids, self.labels, self.label_names, self.targets)

    def _batch(self, pixels: Tensor, rows: Tensor, failed: tuple[Failure, ...] = ()) -> Batch:
        ids = [self.ids[row] for row in rows.tolist()]
        return Batch(to_floats(pixels), self.labels[rows], ids, rows, failed)
