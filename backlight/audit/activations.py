"""What detectors of unknown inputs look at: logits, features and labels of some pictures, and the last layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from backlight.audit.arrays import Array
from backlight.audit.kept import Kept, LinearHead
from backlight.core.errors import InputError

ROWS = 4096
"""How many pictures are at work at a time, so that memory is bounded."""

_LEAST_PIVOT = 1e-3


@dataclass(frozen=True, eq=False, repr=False)
class Activations:
    """What a classifier made of N pictures: logits `[N,K]`, features `[N,D]` or None, labels `[N]` or None.

    Features stay in the type they come in, and become float32 a few rows at a time (`chunks`).

    Raises InputError where the lengths differ or logits are not finite.

    >>> import torch
    >>> seen = Activations.of(torch.tensor([[2.0, 0.0], [0.0, 1.0]]), features=torch.eye(2))
    >>> seen.predictions.tolist(), len(seen.take(torch.tensor([1])))
    ([0, 1], 1)
    """

    logits: Tensor
    features: Tensor | None = None
    labels: Tensor | None = None

    @classmethod
    def of(cls, logits: Array, *, features: Array | None = None, labels: Array | None = None) -> Activations:
        """Build one from arrays or tensors; features without columns and labels below 0 count as absent."""
        has_features = features is not None and features.shape[1] > 0
        known = None if labels is None else torch.as_tensor(labels).long()
        found = torch.as_tensor(logits).float()
        if not bool(torch.isfinite(found.sum())):  # not of each value: a sum that overflows is no logit either
            raise InputError("logits that are not finite", expected="finite numbers")
        return cls(
            found,
            torch.as_tensor(features) if has_features else None,
            known if known is not None and bool((known >= 0).all()) else None,
        )

    @classmethod
    def of_kept(cls, kept: Kept) -> Activations:
        """Take them from what one pass kept, without the pictures that have no well-defined prediction."""
        sound = np.isfinite(kept.logits).all(1)
        chosen = kept if sound.all() else kept.take(sound)
        return cls.of(chosen.logits, features=chosen.features, labels=chosen.labels)

    def __post_init__(self) -> None:
        for name, column in (("features", self.features), ("labels", self.labels)):
            if column is not None and len(column) != len(self.logits):
                raise InputError(f"{len(column)} {name} for {len(self.logits)} pictures", expected="one per picture")
        if self.logits.ndim != 2:
            raise InputError(f"logits are {list(self.logits.shape)}", expected="[N,K]")

    def __len__(self) -> int:
        return len(self.logits)

    @cached_property
    def predictions(self) -> Tensor:
        """Return the class of the highest logit, int64 `[N]`."""
        return self.logits.argmax(1)

    @cached_property
    def classes(self) -> Tensor:
        """Return the labels, or the predictions where there are none, int64 `[N]`."""
        return self.predictions if self.labels is None else self.labels

    @cached_property
    def unit_features(self) -> Tensor:
        """Return the features at length 1, float32 `[N,D]`."""
        features = self.rows_of_features(slice(None))
        return features / features.norm(dim=1, keepdim=True).clamp(min=1e-12)

    def rows_of_features(self, rows: slice | Tensor) -> Tensor:
        """Return the features of some pictures, float32; raises InputError where there are none."""
        if self.features is None:
            raise InputError("no features", expected="what enters the last layer, [N,D]")
        return self.features[rows].float()

    def take(self, rows: Tensor) -> Activations:
        """Keep these pictures, by places or a mask."""
        features = None if self.features is None else self.features[rows]
        return Activations(self.logits[rows], features, None if self.labels is None else self.labels[rows])

    def chunks(self) -> Iterator[Activations]:
        """Yield consecutive pictures, `ROWS` at a time, with float32 features."""
        for start in range(0, len(self), ROWS):
            rows = slice(start, start + ROWS)
            features = None if self.features is None else self.rows_of_features(rows)
            yield Activations(self.logits[rows], features, None if self.labels is None else self.labels[rows])


@dataclass(frozen=True, eq=False, repr=False)
class Head:
    """The last layer, where it is linear, as tensors: logits = features @ weight.T + bias.

    >>> import torch
    >>> Head(torch.eye(2), torch.ones(2)).logits(torch.tensor([[1.0, 2.0]])).tolist()
    [[2.0, 3.0]]
    """

    weight: Tensor
    bias: Tensor

    @classmethod
    def of(cls, head: LinearHead) -> Head:
        """Take it from what a pass kept."""
        return cls(torch.as_tensor(head.weight).float(), torch.as_tensor(head.bias).float())

    def logits(self, features: Tensor) -> Tensor:
        """Compute logits `[N,K]` of float32 features `[N,D]`."""
        return features @ self.weight.T + self.bias

    @cached_property
    def origin(self) -> Tensor:
        """Return the shortest features whose logits are nearest to zero, -W+ b, float32 `[D]`."""
        weight, bias = self.weight.double(), self.bias.double()
        wide = weight.shape[0] <= weight.shape[1]
        right = bias if wide else weight.T @ bias
        gram = weight @ weight.T if wide else weight.T @ weight
        factor, flaw = torch.linalg.cholesky_ex(gram)
        if not int(flaw) and float(factor.diagonal().min()) > _LEAST_PIVOT * float(factor.diagonal().max()):
            solved = torch.cholesky_solve(right[:, None], factor)[:, 0]
        else:  # weights that depend on each other: up to the rounding of float32, as a pseudoinverse has it
            values, vectors = torch.linalg.eigh(gram)
            cut = (max(weight.shape) * torch.finfo(torch.float32).eps) ** 2 * values[-1]
            solved = vectors @ torch.where(values > cut, (vectors.T @ right) / values, 0.0)
        return -(weight.T @ solved if wide else solved).float()

    @cached_property
    def gaps(self) -> Tensor:
        """Return how far apart the classes' weights lie, float32 `[K,K]`."""
        return torch.cdist(self.weight, self.weight)
