"""By which mean and variance BatchNorm layers normalize while their network is bounded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

if TYPE_CHECKING:
    from backlight.bounds.steps import Step

Moments = tuple[Tensor, Tensor]
Statistics = Callable[[Any, Tensor | None], Moments]
"""From a BatchNorm layer, and the values that enter it where they are at hand, to mean and variance `[C]`."""


def running(layer: Any, values: Tensor | None) -> Moments:
    """Return what the layer normalizes by in evaluation.

    >>> [one.tolist() for one in running(nn.BatchNorm1d(2), None)]
    [[0.0, 0.0], [1.0, 1.0]]
    """
    return layer.running_mean, layer.running_var


class BatchStatistics:
    """What the BatchNorm layers of a module in training normalize by: mean and variance of the batch at hand.

    They are taken from pictures that go through the steps by themselves, before they are asked for. Layers in
    evaluation mode keep their running ones.

    >>> from backlight.bounds.steps import steps_of
    >>> import torch
    >>> net = nn.Sequential(nn.BatchNorm1d(1))
    >>> statistics = BatchStatistics(net)
    >>> steps = steps_of(net, statistics)
    >>> statistics.take(steps, torch.tensor([[1.0], [3.0]]))
    >>> steps[1].apply(torch.tensor([[2.0], [3.0]])).round(decimals=3).flatten()
    tensor([0., 1.], grad_fn=<ViewBackward0>)
    """

    def __init__(self, module: nn.Module) -> None:
        self._layers = [one for one in module.modules() if isinstance(one, _BatchNorm)]
        self._taken: dict[Any, Moments] = {}
        self._taking = False

    def __call__(self, layer: Any, values: Tensor | None) -> Moments:
        """Return mean and variance, differentiable; while they are taken, those of the values."""
        if self._taking and layer.training and values is not None:
            dimensions = [one for one in range(values.ndim) if one != 1]
            self._taken[layer] = values.mean(dimensions), values.var(dimensions, unbiased=False)
        return self._taken[layer] if layer.training and layer in self._taken else running(layer, values)

    def take(self, steps: Sequence[Step], values: Tensor) -> None:
        """Take them from a network's normalized input `[B,...]`; no pass is spent where no layer trains."""
        self._taken.clear()
        if not any(layer.training for layer in self._layers):
            return
        found = [values]
        self._taking = True
        try:
            for step in steps[1:]:
                found.append(step.apply(*(found[one] for one in step.inputs)))
        finally:
            self._taking = False
