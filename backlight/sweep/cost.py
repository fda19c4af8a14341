"""What one picture costs, and so how many make a block: arithmetic only, since a clock would change the results."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from backlight.classifier import Classifier
from backlight.classifier.multiply_adds import count_multiply_adds
from backlight.core.errors import ModelError
from backlight.data.dataset import Dataset

SECONDS, SPEED = 20.0, 1e10
"""How long a block takes at most, and the multiply-adds per second of a slow core."""

MOST = 10_000
_FEWEST_VALUES = 8 * 3 * 32 * 32  # smaller batches leave half of a core idle
_BLOCK_VALUES = 2**26  # what a block may hold in memory besides its pictures: 256 MiB
_LEAST_PER_VALUE = 1000  # normalization and calls cost time in networks that multiply little
_ASSUMED_PER_VALUE = 10_000  # between EfficientNet-lite0 (2,600) and ResNet-50 (27,000)
_ASSUMED_SIZE = (224, 224)
_COUNTED = ("steps", "restarts", "targets", "searches", "samples", "points", "channels")


@dataclass(frozen=True)
class Cost:
    """What one picture costs: multiply-adds of a pass, passes (forwards and backwards) at most, and its values.

    `held` counts the numbers that a block keeps in memory for each picture, logits or attacked pixels.

    >>> Cost(30_000_000, passes=200, values=3072).seconds
    0.6
    """

    multiply_adds: int
    passes: float
    values: int
    held: int = 0

    @property
    def seconds(self) -> float:
        """Return the time on a slow core."""
        return max(self.multiply_adds, _LEAST_PER_VALUE * self.values) * self.passes / SPEED


def block_size(cost: Cost, most: int = MOST) -> int:
    """Return how many pictures make a block: about 20 s of one slow core, but no fewer than keep it busy.

    >>> block_size(Cost(30_000_000, 200, 3072)), block_size(Cost(400_000_000, 200, 3 * 224 * 224))
    (33, 2)
    """
    fewest = max(1, _FEWEST_VALUES // max(1, cost.values))
    room = max(1, _BLOCK_VALUES // max(1, cost.held))
    wanted = math.floor(SECONDS / cost.seconds) if cost.seconds > 0 else most
    return max(1, min(max(wanted, fewest), room, most))


def cost_of(classifier: Classifier, shape: tuple[int, ...], passes: float, held: int = 0) -> Cost:
    """Count what one picture `[C,H,W]` of this shape costs a classifier in so many passes.

    >>> from torch import nn
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 5))
    >>> cost_of(Classifier.from_module(net, size=2), (3, 2, 2), passes=2).multiply_adds
    60
    """
    values = math.prod(shape)
    try:
        counted = count_multiply_adds(classifier, shape)
    except ModelError:  # what cannot be counted can be worked on all the same
        counted = _ASSUMED_PER_VALUE * values
    return Cost(counted, passes, values, held)


def shape_of(classifier: Classifier, data: Dataset) -> tuple[int, ...]:
    """Return the shape `[C,H,W]` in which a classifier looks at the pictures of a data set.

    >>> import torch
    >>> from torch import nn
    >>> shape_of(Classifier.from_module(nn.Flatten(), size=4), Dataset.of(torch.zeros(1, 3, 8, 8, dtype=torch.uint8)))
    (3, 4, 4)
    """
    if classifier.size is not None:
        return (classifier.channels, *classifier.size)
    _, pictures, _ = data.readable(range(min(len(data), 1)))
    return tuple(pictures[0].shape) if pictures else (classifier.channels, *_ASSUMED_SIZE)


def passes_of(function: Callable[..., Any], options: Mapping[str, Any]) -> float:
    """Return the forwards and backwards per picture of a search or method, from the numbers it is called with.

    Each of its steps, times its restarts, targets, samples and the like, is taken for a forward and a backward;
    where it has a budget of queries, each of these is a forward and nothing else counts.

    >>> def search(challenge, *, steps=100, targets=9): ...
    >>> passes_of(search, {}), passes_of(search, {"steps": 10}), passes_of(partial(search, targets=2), {})
    (1800.0, 180.0, 400.0)
    >>> passes_of(lambda challenge, *, queries=5000, samples=30: None, {})
    5000.0
    """
    bound: dict[str, Any] = {}
    while isinstance(function, partial):
        bound = {**function.keywords, **bound}
        function = function.func
    parameters = inspect.signature(function).parameters.values()
    found = {one.name: one.default for one in parameters} | bound | dict(options)
    if isinstance(found.get("queries"), int | float):
        return float(found["queries"])
    # Where transforms draw the samples, they are counted with them.
    names = [name for name in _COUNTED if name != "samples" or "transforms" not in found]
    counts = [found[name] for name in names if isinstance(found.get(name), int | float)]
    repeated = getattr(found.get("transforms"), "samples", 1) * getattr(found.get("rule"), "looks", 1)
    return 2.0 * repeated * math.prod(max(1, count) for count in counts)
