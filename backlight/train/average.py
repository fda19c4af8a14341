"""The exponential moving average of a network's weights and statistics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


class Average:
    """Follow a module by an exponential moving average whose first values count less.

    After n updates the decay is min(decay, (1 + n) / (10 + n)), so that random first weights are soon forgotten;
    n is part of the state. Statistics of normalization are averaged too.

    >>> net = nn.Linear(1, 1)
    >>> average = Average(net, 0.99)
    >>> average.update(net)
    >>> torch.equal(average.module.weight, net.weight)
    True
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self._model = AveragedModel(module, avg_fn=self._blend, use_buffers=True)

    @property
    def module(self) -> nn.Module:
        """Return the averaged module."""
        module: nn.Module = self._model.module
        return module

    def update(self, module: nn.Module) -> None:
        """Take in the module's present weights."""
        self._model.update_parameters(module)

    def _blend(self, averaged: Tensor, current: Tensor, count: Tensor | int) -> Tensor:
        if not current.is_floating_point():
            return current
        number = float(count)
        return torch.lerp(averaged, current.to(averaged), 1 - min(self.decay, (1 + number) / (10 + number)))

    def state_dict(self) -> dict[str, Any]:
        """Return weights and the count, as plain data."""
        return self._model.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take a state back."""
        self._model.load_state_dict(state)
