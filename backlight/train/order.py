"""Which pictures a step sees: a pure function of (seed, step), so the order has no state to save."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from torch import Tensor

from backlight.core.errors import DataError, UsageError, did_you_mean
from backlight.core.random import Random

BALANCES = ("none", "weights", "sampling")


# Every step of an epoch asks for the same one.
@lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, count: int, purpose: str) -> Tensor:
    keys = Random((seed, purpose), torch.arange(count), epoch).uniform(dtype=torch.float64)
    return keys.argsort(stable=True)


@dataclass(frozen=True)
class Order:
    """Cut the epochs of `labels` int64 `[N]` into steps of `batch_size` rows; an incomplete last step is dropped.

    With `balance="sampling"` every class comes equally often, drawn with replacement. A batch larger than the
    data is cut to it.

    Raises DataError without labels, UsageError for a batch size below 1.

    >>> order = Order(torch.tensor([0, 0, 1, 1, 0]), batch_size=2, seed=0)
    >>> order.steps_per_epoch, order.epoch(5), len(order.rows(5))
    (2, 2, 2)
    """

    labels: Tensor
    batch_size: int
    seed: int
    balance: str = "none"

    def __post_init__(self) -> None:
        if not len(self.labels) or int(self.labels.min()) < 0:
            raise DataError("training pictures without labels", expected="at least one picture, all labeled")
        if self.batch_size < 1:
            raise UsageError(f"batch size {self.batch_size}", expected="at least 1")
        if self.balance not in BALANCES:
            raise UsageError(f"balance={self.balance}", hint=did_you_mean(self.balance, BALANCES))

    @property
    def size(self) -> int:
        """Count the pictures of a step."""
        return min(self.batch_size, len(self.labels))

    @property
    def steps_per_epoch(self) -> int:
        """Count the steps of an epoch."""
        return len(self.labels) // self.size

    def epoch(self, step: int) -> int:
        """Describe which epoch, from 0, a step belongs to."""
        return step // self.steps_per_epoch

    def rows(self, step: int, purpose: str = "order") -> Tensor:
        """List the rows of a step, int64 `[size]`; another `purpose` gives an independent order."""
        epoch, place = divmod(step, self.steps_per_epoch)
        part = slice(place * self.size, (place + 1) * self.size)
        if self.balance == "sampling":
            return self._drawn(epoch, part, purpose)
        return _permutation(self.seed, epoch, len(self.labels), purpose)[part].clone()

    @cached_property
    def _classes(self) -> tuple[Tensor, Tensor]:
        """Return all rows by class, and the classes' sizes."""
        return self.labels.argsort(stable=True), self.labels.bincount()

    def _drawn(self, epoch: int, part: slice, purpose: str) -> Tensor:
        places = torch.arange(part.start, part.stop)
        random = Random((self.seed, purpose, "balanced"), places, epoch)
        by_class, counts = self._classes
        starts, present = counts.cumsum(0) - counts, counts.nonzero()[:, 0]
        chosen = present[random.integer(len(present), stream="class")]
        member = (random.uniform(stream="member", dtype=torch.float64) * counts[chosen]).long()
        return by_class[starts[chosen] + member.clamp(max=counts[chosen] - 1)]
