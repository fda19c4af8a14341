"""The average of weights, by its formula."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from backlight.train.average import Average


def test_the_average_by_its_formula() -> None:
    net = nn.BatchNorm1d(1)
    average = Average(net, 0.99)
    expected = None
    for number, value in enumerate([1.0, 3.0, -2.0, 5.0]):
        with torch.no_grad():
            net.weight.fill_(value)
            net.running_mean.fill_(-value)
            net.num_batches_tracked.fill_(number)
        average.update(net)
        decay = min(0.99, (1 + number) / (10 + number))
        expected = value if expected is None else decay * expected + (1 - decay) * value
        assert float(average.module.weight.detach()) == pytest.approx(expected, rel=1e-6)
        assert float(average.module.running_mean) == pytest.approx(-expected, rel=1e-6)
        assert int(average.module.num_batches_tracked) == number
    again = Average(nn.BatchNorm1d(1), 0.99)
    again.load_state_dict(average.state_dict())
    for one in (average, again):
        one.update(net)
    assert torch.equal(average.module.weight, again.module.weight)
