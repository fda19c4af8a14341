"""What metrics look at: the images, the class explained, and the network's probability of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from backlight.classifier import Classifier
from backlight.classifier.recording import LOGITS
from backlight.core.chunks import Chunk, in_chunks
from backlight.core.random import Random

Explainer = Callable[[Classifier, Tensor, int], Tensor]
"""Explain again: classifier, images [B,C,H,W] and a turn that keys new randomness, to maps [B,c,H,W]."""


@dataclass
class Judge:
    """Answer questions about changed images for all metrics of a batch, in chunks, counted.

    `target` [B] is the class explained, `masks` [B,H,W] bool where the object is (or None). `turn` numbers
    random draws apart.

    >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 2))
    >>> judge = Judge(Classifier.from_module(net, size=2), torch.rand(1, 3, 2, 2), torch.tensor([0]), Random(0, [0]))
    >>> judge.before.shape
    torch.Size([1])
    """

    classifier: Classifier
    images: Tensor = field(repr=False)
    target: Tensor
    random: Random
    chunk: int | Chunk | None = None
    masks: Tensor | None = field(default=None, repr=False)
    forwards: int = 0

    @property
    def size(self) -> tuple[int, int]:
        """Return the images' height and width."""
        return self.images.shape[2], self.images.shape[3]

    @cached_property
    def together(self) -> Chunk:
        """Bound how many changed images are looked at together."""
        return Chunk.fitting(self.images) if self.chunk is None else Chunk.of(self.chunk)

    @cached_property
    def before(self) -> Tensor:
        """Return the target's probability in the untouched images, float64 [B]."""
        return self.outputs(lambda rows, _: self.images[rows], 1)[:, 0]

    def outputs(self, change: Callable[[Tensor, Tensor], Tensor], variants: int, *, logit: bool = False) -> Tensor:
        """Return the target's probability (or logit) in `variants` changed copies of each image, float64 [B,variants].

        `change(rows, variant)` makes the images [A,C,H,W] for int64 rows and variants [A].
        """
        count = len(self.images)

        def run(part: slice) -> Tensor:
            pairs = torch.arange(part.start, part.stop, device=self.images.device)
            rows = pairs // variants
            with torch.no_grad():
                logits = self.classifier.record(change(rows, pairs % variants), (LOGITS,))[LOGITS].double()
            head = self.classifier.head
            values = head.class_scores(logits) if logit else head.probabilities(logits)
            return values.gather(1, self.target[rows][:, None])[:, 0]

        self.forwards += count * variants
        return torch.cat(list(in_chunks(run, count * variants, self.together))).view(count, variants)


def heat_of(maps: Tensor) -> Tensor:
    """Reduce maps [B,c,H,W] to one value per pixel [B,H,W]: the sum over channels.

    >>> heat_of(torch.ones(1, 3, 2, 2))[0, 0]
    tensor([3., 3.])
    """
    return maps.sum(1)


def ranks(judge: Judge, maps: Tensor) -> Tensor:
    """Rank pixels from the most to the least important, int64 [B,H*W]; ties are broken by keyed chance.

    Without that, a flat region would be removed row by row and its shape would be scored.
    """
    heat = heat_of(maps).flatten(1)
    chance = judge.random.fork("ties").uniform(heat.shape[1], dtype=torch.float64).to(heat.device).argsort(dim=1)
    order = heat.gather(1, chance).argsort(dim=1, descending=True, stable=True)
    place = torch.arange(heat.shape[1], device=heat.device).expand_as(order)
    return torch.empty_like(order).scatter_(1, chance.gather(1, order), place)
