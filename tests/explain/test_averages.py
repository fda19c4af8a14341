"""Class averages of maps: by hand, and without the maps in which nothing is to be seen."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from backlight.explain.attribution import Attribution, finish
from backlight.explain.averages import ClassAverages


def maps(values: Tensor) -> dict[str, Attribution]:
    return {"sum": finish(Attribution("sum", values, "sum", (2, 2)))}


def test_the_mean_is_of_positive_parts_that_sum_to_one() -> None:
    found = ClassAverages(("sum",))
    found.add([0, 0], maps(torch.tensor([[[[1.0, 3.0], [-5.0, 0.0]]], [[[0.0, 0.0], [20.0, 0.0]]]])))
    expected = torch.tensor([[0.125, 0.375], [0.5, 0.0]], dtype=torch.float64)
    assert torch.allclose(found.mean(0)["sum"], expected)


def test_flat_and_broken_maps_do_not_count() -> None:
    found = ClassAverages(("sum",))
    sharp, flat, broken = [[[4.0, 0.0], [0.0, 0.0]]], [[[2.0, 2.0], [2.0, 2.0]]], [[[torch.nan, 1.0], [1.0, 1.0]]]
    found.add([1, 1, 1], maps(torch.tensor([sharp, flat, broken])))
    assert found.counts[1].tolist() == [1]
    assert found.mean(1)["sum"].tolist() == [[1.0, 0.0], [0.0, 0.0]]
    nothing = ClassAverages(("sum",))
    nothing.add([0], maps(torch.tensor([flat])))
    assert nothing.mean(0) == {}


def test_blocks_add_up() -> None:
    values = torch.rand(6, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    whole, first, second = (ClassAverages(("sum",)) for _ in range(3))
    whole.add([0, 1, 0, 1, 0, 2], maps(values))
    first.add([0, 1, 0], maps(values[:3]))
    second.add([1, 0, 2], maps(values[3:]))
    first.merge(second)
    for label in range(3):
        assert np.allclose(first.mean(label)["sum"], whole.mean(label)["sum"])
