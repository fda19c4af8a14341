"""The average map of each class, gathered block by block."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from backlight.core.atomic import atomic
from backlight.explain.attribution import Attribution

SIDE = 56
"""Average maps are kept at this size at most, so that memory is bounded by the number of classes."""


@dataclass
class ClassAverages:
    """Sums of maps by class, and how many went in: `sums[class]` [M,h,w] and `counts[class]` [M] for M methods.

    A map counts by its positive part, scaled to sum to 1, so that no picture outweighs another. Flat and broken
    maps do not count.

    >>> found = ClassAverages(("gradcam",))
    >>> found.add([3], {"gradcam": Attribution("gradcam", torch.ones(1, 1, 2, 2), "sum", (2, 2))})
    >>> found.mean(3)["gradcam"]
    tensor([[0.2500, 0.2500],
            [0.2500, 0.2500]], dtype=torch.float64)
    """

    methods: tuple[str, ...]
    sums: dict[int, Tensor] = field(default_factory=dict)
    counts: dict[int, Tensor] = field(default_factory=dict)

    def add(self, classes: Iterable[int], found: Mapping[str, Attribution]) -> None:
        """Add the maps of some images of these classes."""
        maps = torch.stack([_unit(found[method]) for method in self.methods], 1)
        used = (maps.flatten(2).sum(2) > 0).long()
        for row, index in enumerate(classes):
            self._add(index, maps[row], used[row])

    def merge(self, other: ClassAverages) -> None:
        """Add what another block gathered."""
        for index, total in other.sums.items():
            self._add(index, total, other.counts[index])

    def mean(self, index: int) -> dict[str, Tensor]:
        """Return a class's average maps [h,w] by method, without those of which no map counted."""
        pairs = zip(self.methods, self.sums[index], self.counts[index].tolist(), strict=True)
        return {method: total / count for method, total, count in pairs if count}

    def write(self, path: Path, labels: Sequence[str]) -> None:
        """Write an npz: `classes` names the K classes, each method has maps [K,h,w], NaN where none counted."""
        classes = sorted(self.sums)
        names = [labels[one] if labels else str(one) for one in classes]
        maps: dict[str, Any] = {
            method: np.stack([(self.sums[one][place] / self.counts[one][place]).numpy() for one in classes])
            for place, method in enumerate(self.methods)
        }
        with atomic(path) as temporary:
            np.savez_compressed(temporary, classes=np.array(names), **maps)

    def to_tensors(self) -> dict[str, Tensor]:
        """Return plain tensors that `from_tensors` reads."""
        classes = sorted(self.sums)
        return {
            "classes": torch.tensor(classes, dtype=torch.int64),
            "sums": torch.stack([self.sums[one] for one in classes]),
            "counts": torch.stack([self.counts[one] for one in classes]),
        }

    @classmethod
    def from_tensors(cls, methods: tuple[str, ...], tensors: Mapping[str, Tensor]) -> ClassAverages:
        """Read what `to_tensors` gave; raises KeyError where a tensor is missing."""
        rows = list(enumerate(tensors["classes"].tolist()))
        sums, counts = tensors["sums"], tensors["counts"]
        return cls(methods, {index: sums[row] for row, index in rows}, {index: counts[row] for row, index in rows})

    def _add(self, index: int, total: Tensor, count: Tensor) -> None:
        known = index in self.sums
        self.sums[index] = self.sums[index] + total if known else total.clone()
        self.counts[index] = self.counts[index] + count if known else count.clone()


def _unit(attribution: Attribution) -> Tensor:
    heat = attribution.heatmap().detach().double().cpu().clamp(min=0)
    broken = ~torch.isfinite(heat).flatten(1).all(1)
    if len(attribution.flat):
        broken |= attribution.flat.cpu() | ~attribution.finite.cpu()
    heat[broken] = 0
    height, width = heat.shape[1:]
    scale = min(1.0, SIDE / max(height, width))
    small = F.adaptive_avg_pool2d(heat[:, None], (max(1, round(scale * height)), max(1, round(scale * width))))[:, 0]
    total = small.sum((1, 2), keepdim=True)
    return torch.where(total > 0, small / total, torch.zeros_like(small))
