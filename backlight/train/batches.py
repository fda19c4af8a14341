"""From a step's number to its batch: read, changed, mixed and on the device."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backlight.core.processes import Engine
from backlight.core.random import hash_ids
from backlight.data.dataset import Dataset
from backlight.data.pictures import Memory
from backlight.images import to_floats
from backlight.train.ahead import ReadAhead
from backlight.train.augment import Augmentation
from backlight.train.losses import Loss
from backlight.train.order import Order


@dataclass(frozen=True, eq=False)
class TrainingBatch:
    """Hold pictures `[B,C,H,W]` in `[0,1]` with labels, rows of the data set and keys of random numbers, int64 `[B]`.

    Mixed pictures also have `others`, the second label, and `own`, the share `[B]` of the first. `size` counts the
    step's pictures in all processes together. Where pictures are learned from in pairs, `clean` are those that the
    attacked `images` were made of; `taught` are a teacher's logits `[B,K]` of the unattacked ones. `strength` is the
    share of its size that the adversary has by now.
    """

    images: Tensor
    labels: Tensor
    rows: Tensor
    keys: Tensor
    size: int
    others: Tensor | None = None
    own: Tensor | None = None
    clean: Tensor | None = None
    taught: Tensor | None = None
    strength: float = 1.0

    def losses(self, logits: Tensor, part: slice, loss: Loss, weights: Tensor | None = None) -> Tensor:
        """Compute the loss of each picture of a part of the batch, `[A]`; `weights` is one per class.

        >>> from backlight.train.losses import read_loss
        >>> batch = TrainingBatch(torch.zeros(2, 3, 1, 1), torch.tensor([0, 1]), torch.arange(2), torch.arange(2), 2)
        >>> batch.losses(torch.zeros(2, 2), slice(0, 2), read_loss("cross-entropy", 0.1))
        tensor([0.6931, 0.6931])
        """
        losses = _weighted(loss, logits, self.labels[part], weights)
        if self.others is None or self.own is None:
            return losses
        return torch.lerp(_weighted(loss, logits, self.others[part], weights), losses, self.own[part])


def _weighted(loss: Loss, logits: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
    losses = loss(logits, labels)
    return losses if weights is None else losses * weights[labels]


class Batches:
    """Return the batch of any step, a function of its number alone.

    With several processes each gets its share of the step's batch, as `Engine.shard` deals it.

    >>> data = Dataset.of(torch.zeros(6, 3, 8, 8, dtype=torch.uint8), [0, 1] * 3, ["a", "b"])
    >>> batches = Batches(data, Order(data.labels, 4, seed=0), Augmentation(flip="random"))
    >>> batches(0).images.shape, batches(1).rows.tolist() == batches(1).rows.tolist()
    (torch.Size([4, 3, 8, 8]), True)
    """

    def __init__(
        self,
        data: Dataset,
        order: Order,
        augmentation: Augmentation,
        engine: Engine | None = None,
    ) -> None:
        self.data, self.order, self.augmentation = data, order, augmentation
        self.engine = engine or Engine(torch.device("cpu"))
        self.device = self.engine.device
        self._keys = hash_ids(list(data.ids))
        self._table: Tensor | None = None
        if isinstance(data.pictures, Memory):
            # The whole table as 8-bit values lies on the device: no picture travels during training.
            self._table = data.pictures.images.to(self.device)
        # Streamed pictures are read and decoded a step ahead; changing them stays here, where random numbers are drawn.
        self._ahead = ReadAhead[tuple[int, str], Tensor](lambda place: self.data.read(self._rows(*place)))

    def __call__(self, step: int) -> TrainingBatch:
        """Read, change and mix the pictures of a step."""
        images, labels, rows = self._read(step, "order")
        keys = self._keys[rows]
        if not self.augmentation.mixes:
            return TrainingBatch(images, labels, rows, keys, self.order.size)
        other_images, others, _ = self._read(step, "partners")
        seed, epoch = self.order.seed, self.order.epoch(step)
        mixed, own = self.augmentation.mix(images, other_images, keys, seed=seed, epoch=epoch)
        return TrainingBatch(mixed, labels, rows, keys, self.order.size, others, own)

    def _rows(self, step: int, purpose: str) -> Tensor:
        rows = self.order.rows(step, purpose)
        return rows[self.engine.shard(len(rows))]

    def _read(self, step: int, purpose: str) -> tuple[Tensor, Tensor, Tensor]:
        """Return pictures, changed, with their labels and rows."""
        rows = self._rows(step, purpose)
        images = to_floats(self._pixels(step, purpose, rows))
        seed, epoch = self.order.seed, self.order.epoch(step)
        images = self.augmentation.apply(images, self._keys[rows], seed=seed, epoch=epoch)
        return images, self.data.labels[rows].to(self.device), rows

    def _pixels(self, step: int, purpose: str, rows: Tensor) -> Tensor:
        if self._table is not None:
            return self._table.index_select(0, rows.to(self.device))
        return self._ahead((step, purpose), following=(step + 1, purpose)).to(self.device)
