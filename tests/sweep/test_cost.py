"""How many pictures make a block: by multiply-adds and passes, the same on every machine."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from backlight.attack.auto import apgd, apgd_t, square
from backlight.attack.stages import PLANS
from backlight.classifier import Classifier
from backlight.core.errors import ModelError
from backlight.data.dataset import Dataset
from backlight.sweep import Cost, block_size
from backlight.sweep import cost as costs
from backlight.sweep.cost import MOST, SECONDS, SPEED, cost_of, passes_of, shape_of
from tests.processes import run_script

CIFAR, IMAGENET = 3 * 32 * 32, 3 * 224 * 224


@pytest.mark.parametrize("multiply_adds", [2 * 10**8, 4 * 10**8, 4 * 10**9])
@pytest.mark.parametrize("passes", [10, 40, 200])
def test_a_block_takes_twenty_seconds_of_a_slow_core(multiply_adds: int, passes: int) -> None:
    cost = Cost(multiply_adds, passes, IMAGENET)
    size = block_size(cost)
    assert size * multiply_adds * passes / SPEED <= SECONDS or size == 1
    assert (size + 1) * multiply_adds * passes / SPEED > SECONDS


def test_a_block_keeps_a_core_busy_and_fits_into_memory() -> None:
    assert block_size(Cost(10**8, 10_000, CIFAR)) == 8
    assert block_size(Cost(10**9, 10_000, IMAGENET)) == 1
    assert block_size(Cost(1000, 1, 10)) == MOST
    assert block_size(Cost(1000, 1, 10), most=7) == 7
    assert block_size(Cost(10**6, 1, CIFAR, held=10**6)) == 2**26 // 10**6
    assert block_size(Cost(0, 0, 0)) == MOST


def test_passes_follow_from_what_an_attack_is_called_with() -> None:
    assert passes_of(apgd, {}) == 200
    assert passes_of(apgd, {"steps": 7, "restarts": 3}) == 42
    assert passes_of(apgd_t, {}) == 1800
    assert passes_of(partial(apgd, restarts=5), {"steps": 10}) == 100
    assert passes_of(square, {}) == 10_000
    by_stage = {stage.name: passes_of(stage.function, {}) for stage in PLANS["autoattack-rand"]}
    assert by_stage == {"apgd-ce": 20 * 200, "apgd-dlr": 20 * 200}


def test_the_cost_of_a_picture_is_counted_at_the_size_that_the_model_sees() -> None:
    data = Dataset.of(torch.zeros(2, 3, 8, 8, dtype=torch.uint8))
    net = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    for size, side in ((None, 8), (4, 4)):
        classifier = Classifier.from_module(net, size=size)
        shape = shape_of(classifier, data)
        assert shape == (3, side, side)
        assert cost_of(classifier, shape, 3).multiply_adds == side * side * 5 * 27


def test_a_model_whose_products_cannot_be_seen_is_worked_on_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def hidden(*_: Any) -> int:
        raise ModelError("scripted")

    monkeypatch.setattr(costs, "count_multiply_adds", hidden)
    cost = cost_of(Classifier.from_module(nn.Flatten()), (3, 32, 32), 2)
    assert cost.multiply_adds > 0
    assert block_size(cost) > 1


class Added(nn.Module):
    """Products of batches of matrices, added to another one."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.baddbmm(images[:, 0], images[:, 1], images[:, 2]).flatten(1)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(3, 6, 3, stride=2, padding=1, groups=3),
        nn.Conv2d(3, 6, (1, 3), dilation=2),
        nn.ConvTranspose2d(3, 6, 3, stride=2),
        nn.Sequential(nn.Flatten(2), nn.Conv1d(3, 4, 5)),
        Added(),
    ],
)
def test_every_kind_of_product_is_counted_as_torch_counts_it(layer: nn.Module) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    classifier = Classifier.from_module(nn.Sequential(layer, nn.Flatten()), size=8)
    with FlopCounterMode(display=False) as counter:
        classifier.record(torch.zeros(1, 3, 8, 8), ("logits",))
    assert counter.get_total_flops() > 0
    assert cost_of(classifier, (3, 8, 8), 1).multiply_adds == counter.get_total_flops() // 2


def test_to_count_products_imports_no_compiler() -> None:
    script = """
import sys
import torch
from torch import nn
from backlight.classifier import Classifier
from backlight.classifier.multiply_adds import count_multiply_adds
assert count_multiply_adds(Classifier.from_module(nn.Flatten(), size=4), (3, 4, 4)) == 0
print(sorted({"triton", "torch._dynamo", "torch._inductor", "sympy"} & set(sys.modules)))
"""
    told = run_script(script)
    assert (told.status, told.out) == (0, "[]\n"), told.err


def test_products_are_counted_as_torch_counts_them() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    net = nn.Sequential(nn.Conv2d(3, 8, 3, groups=1), nn.BatchNorm2d(8), nn.Flatten(2), nn.Linear(36, 8), layer)
    classifier = Classifier.from_module(nn.Sequential(net, nn.Flatten(), nn.Linear(64, 3)), size=8)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        classifier.record(torch.zeros(1, 3, 8, 8, requires_grad=True), ("logits",))
    assert counter.get_total_flops() > 0
    assert cost_of(classifier, (3, 8, 8), 1).multiply_adds == counter.get_total_flops() // 2
