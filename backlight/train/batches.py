"""From a step's number to its batch: read, changed, mixed and on the device."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from backlight.data.dataset import Dataset
from backlight.data.pictures import Memory
from backlight.engine import Engine
from backlight.random import hash_ids
from backlight.train.augment import Augmentation
from backlight.train.order import Order


@dataclass(frozen=True, eq=False)
class Batch:
    """Hold pictures `[B,C,H,W]` in `[0,1]` with labels, rows of the data set and keys of random numbers, int64 `[B]`.

    Mixed pictures also have `others`, the second label, and `own`, the share `[B]` of the first. `size` counts the
    step's pictures in all processes together.
    """

    images: Tensor
    labels: Tensor
    rows: Tensor
    keys: Tensor
    size: int
    others: Tensor | None = None
    own: Tensor | None = None

    def loss(self, logits: Tensor, part: slice, smoothing: float) -> Tensor:
        """Compute the cross-entropy of each picture of a part of the batch, `[A]`.

        >>> batch = Batch(torch.zeros(2, 3, 1, 1), torch.tensor([0, 1]), torch.arange(2), torch.arange(2), size=2)
        >>> batch.loss(torch.zeros(2, 2), slice(0, 2), 0.1)
        tensor([0.6931, 0.6931])
        """
        losses = F.cross_entropy(logits, self.labels[part], reduction="none", label_smoothing=smoothing)
        if self.others is None or self.own is None:
            return losses
        second = F.cross_entropy(logits, self.others[part], reduction="none", label_smoothing=smoothing)
        return torch.lerp(second, losses, self.own[part])


class Batches:
    """Give the batch of any step; nothing is remembered between two of them.

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
        self._pixels: Tensor | None = None
        if self.device.type != "cpu" and isinstance(data.pictures, Memory):
            # The whole table as 8-bit values lies on the device: no picture travels during training.
            self._pixels = data.pictures.images.to(self.device)

    def __call__(self, step: int) -> Batch:
        """Read, change and mix the pictures of a step."""
        epoch = self.order.epoch(step)
        rows = self._mine(self.order.rows(step))
        images, labels = self._read(rows, epoch)
        keys = self._keys[rows]
        if not self.augmentation.mixes:
            return Batch(images, labels, rows, keys, self.order.size)
        partners = self._mine(self.order.rows(step, "partners"))
        other_images, others = self._read(partners, epoch)
        mixed, own = self.augmentation.mix(images, other_images, keys, seed=self.order.seed, epoch=epoch)
        return Batch(mixed, labels, rows, keys, self.order.size, others, own)

    def _mine(self, rows: Tensor) -> Tensor:
        return rows[self.engine.shard(len(rows))]

    def _read(self, rows: Tensor, epoch: int) -> tuple[Tensor, Tensor]:
        if self._pixels is None:
            pixels = self.data.read(rows).to(self.device)
        else:
            pixels = self._pixels[rows.to(self.device)]
        images = pixels.float() / torch.full((), 255.0, device=self.device)
        images = self.augmentation.apply(images, self._keys[rows], seed=self.order.seed, epoch=epoch)
        return images, self.data.labels[rows].to(self.device)
