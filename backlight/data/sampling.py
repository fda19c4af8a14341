"""A sample of a data set in which every class keeps its share, whatever the order of the pictures."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from backlight.core.random import Random


def draw_sample(labels: Tensor, ids: Sequence[str], count: int, seed: int) -> Tensor:
    """Draw `count` rows, int64 and in order, in proportion to the classes of `labels` int64 [N] by largest remainders.

    >>> draw_sample(torch.tensor([0, 0, 0, 0, 1]), ["a", "b", "c", "d", "e"], 2, seed=0)[-1]
    tensor(4)
    """
    order = Random(("sample", seed), list(ids)).uniform(dtype=torch.float64).argsort(stable=True)
    order = order[labels[order].argsort(stable=True)]
    sizes = labels[order].unique_consecutive(return_counts=True)[1]
    exact = sizes.double() * count / len(labels)
    taken = exact.floor().long()
    if count >= len(sizes):
        taken = taken.clamp(min=1)
    while (left := count - int(taken.sum())) != 0:
        step = 1 if left > 0 else -1
        open_to_change = (taken + step <= sizes) & (taken + step >= (1 if count >= len(sizes) else 0))
        lacking = torch.where(open_to_change, step * (exact - taken), -torch.inf)
        most = lacking.argsort(descending=True, stable=True)[: min(abs(left), int(open_to_change.sum()))]
        taken[most] += step
    chosen = [members[:number] for members, number in zip(order.split(sizes.tolist()), taken.tolist())]
    return torch.cat(chosen).sort().values
