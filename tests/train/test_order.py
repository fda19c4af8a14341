"""Which pictures a step sees."""

from __future__ import annotations

import pytest
import torch

from backlight.core.errors import DataError, UsageError
from backlight.core.processes import Engine
from backlight.train.batches import Batches
from backlight.train.order import Order
from backlight.train.recipe import Recipe
from tests.train.nets import pictures


def test_every_epoch_is_a_permutation_of_its_own() -> None:
    whole = {seed: Order(torch.zeros(50, dtype=torch.int64), 50, seed) for seed in (0, 1)}
    orders = [whole[seed].rows(epoch).tolist() for seed in (0, 1) for epoch in (0, 1)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({tuple(order) for order in orders}) == 4
    order = Order(torch.zeros(50, dtype=torch.int64), 8, seed=0)
    seen = torch.cat([order.rows(step) for step in range(order.steps_per_epoch)])
    assert len(seen) == 48 == len(seen.unique())
    assert not torch.equal(order.rows(0), order.rows(order.steps_per_epoch))
    assert not torch.equal(order.rows(0), order.rows(0, "partners"))


def test_balanced_sampling_by_counting() -> None:
    labels = torch.tensor([0] * 90 + [2] * 10)
    order = Order(labels, 50, seed=0, balance="sampling")
    drawn = torch.cat([labels[order.rows(step)] for step in range(40)])
    assert (drawn == 0).float().mean() == pytest.approx(0.5, abs=0.03)
    rows = torch.cat([order.rows(step) for step in range(40)])
    assert len(rows.unique()) == 100


def test_two_processes_share_the_batch_of_one() -> None:
    data = pictures()
    order = Order(data.labels, 7, seed=0)
    augmentation = Recipe().augment
    one = Batches(data, order, augmentation)(3)
    parts = [Batches(data, order, augmentation, Engine(torch.device("cpu"), rank, 2))(3) for rank in (0, 1)]
    assert [len(part.rows) for part in parts] == [4, 3]
    for rank, part in enumerate(parts):
        assert torch.equal(part.rows, one.rows[rank::2])
        assert torch.equal(part.images, one.images[rank::2])
        assert part.size == 7


def test_orders_of_nothing() -> None:
    with pytest.raises(DataError):
        Order(torch.tensor([], dtype=torch.int64), 4, 0)
    with pytest.raises(DataError):
        Order(torch.tensor([0, -1]), 4, 0)
    with pytest.raises(UsageError):
        Order(torch.tensor([0]), 0, 0)
