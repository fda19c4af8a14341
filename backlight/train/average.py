"""The average of a network's weights and statistics: exponential, or over all steps from some step on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


class Average:
    """Follow a module by an exponential moving average whose first values count less, or by the plain mean.

    After n updates the decay is min(decay, (1 + n) / (10 + n)), so that random first weights are soon forgotten;
    n is part of the state. With a decay of 1 all updates count alike, as in stochastic weight averaging (Izmailov et
    al. 2018, arXiv:1803.05407), here over steps. Statistics of normalization are averaged too.

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

    def update(self, module: nn.Module, *, begun: bool = True) -> None:
        """Take in the module's present weights; before it has `begun`, the average is these weights."""
        self._model.update_parameters(module)
        if not begun:
            self._model.n_averaged.zero_()

    def _blend(self, averaged: Tensor, current: Tensor, count: Tensor | int) -> Tensor:
        if not current.is_floating_point():
            return current
        number = float(count)
        decay = number / (1 + number) if self.decay == 1 else min(self.decay, (1 + number) / (10 + number))
        return torch.lerp(averaged, current.to(averaged), 1 - decay)

    def state_dict(self) -> dict[str, Any]:
        """Return weights and the count, as plain data."""
        return self._model.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take a state back."""
        self._model.load_state_dict(state)
