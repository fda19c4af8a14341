"""Fine-tuning the last layer alone: what the frozen trunk makes of every picture is computed once."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from backlight.classifier import Classifier
from backlight.classifier.last_layer import inputs_of
from backlight.core.errors import FileError, ModelError
from backlight.core.processes import Engine
from backlight.core.progress import Progress, reporting
from backlight.data.dataset import Dataset
from backlight.train.augment import Augmentation
from backlight.train.batches import Batches
from backlight.train.layers import find_head, freeze
from backlight.train.order import Order
from backlight.train.recipe import Recipe


def cached_head(module: nn.Module, recipe: Recipe) -> str | None:
    """Name the head if it alone is trained, on pictures that never change; else None.

    >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 2))
    >>> still = Augmentation()
    >>> cached_head(net, Recipe(freeze=-1, augment=still)), cached_head(net, Recipe(augment=still))
    ('2', None)
    """
    if recipe.augment != Augmentation() or recipe.adversary or recipe.teacher or not recipe.freeze:
        return None
    head = find_head(module)
    frozen = freeze(module, recipe.freeze)
    free = {name for name, _ in module.named_parameters()} - frozen
    return head if free == {f"{head}.{name}" for name, _ in module.get_submodule(head).named_parameters()} else None


def head_inputs(
    classifier: Classifier, data: Dataset, head: str, *, batch_size: int = 64, progress: Progress | None = None
) -> Tensor:
    """Compute what enters the layer `head` for every picture, in evaluation mode: float `[N,D]`, on the CPU.

    Raises ModelError where the layer does not run once per picture, FileError for a broken picture.

    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.Linear(5, 2))
    >>> data = Dataset.of(torch.zeros(4, 3, 2, 2, dtype=torch.uint8))
    >>> head_inputs(Classifier.from_module(net, size=2), data, "2").shape
    torch.Size([4, 5])
    """
    rows: list[Tensor] = []
    layer = classifier.module.get_submodule(head)
    with torch.no_grad(), classifier.guard(), reporting(progress, len(data), "look once") as advance:
        for batch in data.batches(batch_size):
            if batch.failed:
                raise FileError(batch.failed[0].path, batch.failed[0].error)
            with inputs_of(layer) as seen:
                classifier.record(batch.images.to(classifier.device), ("logits",))
            if sum(map(len, seen)) != len(batch.ids) or seen[-1].ndim != 2:
                raise ModelError(f"layer {head!r} does not see one row per picture", expected="a linear head")
            rows += [one.cpu() for one in seen]
            advance(len(batch.ids))
    return torch.cat(rows)


class FeatureBatches(Batches):
    """Return, in place of pictures, what enters the head for them."""

    def __init__(self, data: Dataset, order: Order, features: Tensor, engine: Engine) -> None:
        super().__init__(data, order, Augmentation(), engine)
        self._features = features.to(engine.device)

    def _read(self, step: int, purpose: str) -> tuple[Tensor, Tensor, Tensor]:
        rows = self._rows(step, purpose)
        return self._features[rows.to(self.device)], self.data.labels[rows].to(self.device), rows
