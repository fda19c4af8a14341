"""What a change does to pictures: a row for each, with what the model says of it before and after."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backlight.attack.referee import judge_logits
from backlight.attack.universal.change import Change, Patch
from backlight.classifier import Classifier
from backlight.classifier.heads import predicted_classes
from backlight.core.errors import Failure
from backlight.core.random import Seed
from backlight.data.batch import Batch
from backlight.data.dataset import Dataset
from backlight.sweep import Advance, Cost, Part
from backlight.sweep.cost import cost_of, shape_of
from backlight.table import Table

LOOKS = ("clean", "changed", "control")


@dataclass(frozen=True, eq=False)
class Judging:
    """Everything that a block needs: the untouched model, the change, its control, and what keys the places.

    >>> from torch import nn
    >>> from backlight.attack.universal.change import Perturbation
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    >>> change = Perturbation(torch.zeros(3, 2, 2), "linf", 8 / 255)
    >>> judging = Judging(Classifier.from_module(net, size=2), change, change.control(0), 0, 32)
    >>> data = Dataset.of(torch.zeros(2, 3, 2, 2, dtype=torch.uint8), [0, 1], ["a", "b"])
    >>> judging.work(data, lambda *_: None).table.names
    ['id', 'label', 'clean', 'changed', 'control']
    """

    classifier: Classifier
    change: Change
    control: Change
    seed: Seed
    batch_size: int

    @property
    def depends(self) -> tuple[object, ...]:
        """Return all that decides about the results but the pictures."""
        return "judge a universal change", self.classifier, self.change, self.control, self.seed, self.batch_size

    def cost(self, data: Dataset) -> Cost:
        """Count what a picture costs."""
        return cost_of(self.classifier, shape_of(self.classifier, data), len(LOOKS))

    def work(self, block: Dataset, advance: Advance) -> Part:
        """Tabulate a block of pictures that are at the model's size, with its labels."""
        tables, failed = list[Table](), list[Failure]()
        for batch in block.batches(self.batch_size):
            failed += batch.failed
            if len(batch.ids):
                tables.append(self._table(batch))
            advance(len(batch.ids) + len(batch.failed))
        return Part(Table.merge(tables) if tables else Table.of(id=[]), failed=tuple(failed))

    def _table(self, batch: Batch) -> Table:
        images = batch.images.to(self.classifier.device)
        shown = [images, *(one.applied(images, batch.ids, self.seed) for one in (self.change, self.control))]
        columns = {"id": batch.ids, "label": batch.labels} | {
            name: named_classes(self.classifier, one) for name, one in zip(LOOKS, shown)
        }
        if isinstance(self.change, Patch):
            frame = images.shape[2], images.shape[3]
            columns["size"] = self.change.places(frame, batch.ids, self.seed).side / min(frame)
        return Table.of(columns)


def named_classes(classifier: Classifier, images: Tensor) -> Tensor:
    """Return the class that a classifier names for each picture `[A]`, -1 where none is well defined.

    >>> from torch import nn
    >>> classifier = Classifier.from_module(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), size=2)
    >>> named_classes(classifier, torch.rand(5, 3, 2, 2)).shape
    torch.Size([5])
    """
    dtype = torch.float64 if classifier.dtype == torch.float64 else images.dtype
    return predicted_classes(judge_logits(classifier, images.to(classifier.device, dtype))).cpu()
