"""Recipes, rates and orders: plain data and pure functions."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from torch import nn

from backlight.engine.processes import Engine
from backlight.errors import DataError, FileError, UsageError
from backlight.train.average import Average
from backlight.train.batches import Batches
from backlight.train.layers import freeze, layer_groups
from backlight.train.optimizers import Optimizer
from backlight.train.order import Order, permutation
from backlight.train.recipe import CLASSIC, Recipe, read_recipe
from backlight.train.schedule import rate
from tests.train.nets import pictures


@pytest.mark.parametrize("recipe", [Recipe(), CLASSIC, read_recipe("default", ["torchvision=RandAugment+AutoAugment"])])
def test_a_recipe_survives_json(recipe: Recipe) -> None:
    assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe


def test_a_recipe_from_a_file_with_settings(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text('{"lr": 0.5, "epochs": 3, "augment": {"crop": 4}}')
    recipe = read_recipe(path, ["augment.scale=0.9:1.1", "hue=1/10", "optimizer=sgd"])
    assert (recipe.lr, recipe.epochs, recipe.optimizer) == (0.5, 3, "sgd")
    assert (recipe.augment.crop, recipe.augment.scale, recipe.augment.hue) == (4, (0.9, 1.1), 0.1)


@pytest.mark.parametrize("given", [{"epochs": True}, {"lr": False}, {"augment": {"crop": True}}])
def test_true_is_no_number(given: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="=(True|False); expected a value like"):
        Recipe.from_json(given)


@pytest.mark.parametrize(("count", "frozen"), [(-1, 2), (-2, 1), (0, 0), (1, 1), (2, 2), (-3, None), (-5, None)])
def test_layers_are_counted_from_either_end(count: int, frozen: int | None) -> None:
    net = nn.Sequential(*(nn.Linear(2, 2, bias=False) for _ in range(3)))
    if frozen is None:
        with pytest.raises(UsageError, match=f"freeze={count} of 3 layers freezes nothing; expected -2 to 2"):
            freeze(net, count)
    else:
        assert len(freeze(net, count)) == frozen


WRONG = (
    "lr",
    "lr=",
    "lr=fast",
    "epochs=1.5",
    "epochs=0",
    "rate=1",
    "scale=1",
    "optimizer=adm",
    "ema=1",
    "warmup=2",
    "lr=-1",
    "schedule=step",
)


@pytest.mark.parametrize("setting", WRONG)
def test_settings_that_are_not_understood(setting: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_recipe("default", [setting])
    assert setting.split("=")[0] in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{", '"lr"'])
def test_files_that_are_no_recipes(tmp_path: Path, text: str) -> None:
    (tmp_path / "mine.json").write_text(text)
    with pytest.raises(FileError, match=r"mine\.json"):
        read_recipe(tmp_path / "mine.json")
    with pytest.raises(UsageError, match="classic"):
        read_recipe("clasic")
    with pytest.raises(UsageError, match="object"):
        Recipe.from_json({"augment": 3})


@pytest.mark.parametrize("schedule", ["constant", "cosine", "linear", "triangle"])
def test_rates_rise_fall_and_never_leave_the_range(schedule: str) -> None:
    recipe = Recipe(schedule=schedule, lr=2.0, warmup=0.2, final=0.1)
    rates = [rate(recipe, step, 50) for step in range(50)]
    assert max(rates) == 2.0 == rates[9]
    assert all(low < high for low, high in zip(rates[:9], rates[1:10]))
    assert all(high >= low >= 0.2 for high, low in zip(rates[10:], rates[11:]))
    assert rates[0] == pytest.approx(2 * (0.2 + 0.8 / 10) if schedule == "triangle" else 0.2)
    assert rates[30] == pytest.approx(
        {"constant": 2.0, "cosine": 0.2 + 1.8 * (1 + math.cos(math.pi / 2)) / 2}.get(schedule, 0.2 + 1.8 * 0.5)
    )


def test_every_epoch_is_a_permutation_of_its_own() -> None:
    orders = [permutation(seed, epoch, 50).tolist() for seed in (0, 1) for epoch in (0, 1)]
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


def test_layers_in_order_and_frozen_from_the_input() -> None:
    net = nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), nn.Linear(2, 2))
    assert [names[0] for names in layer_groups(net)] == ["0.0.weight", "0.1.weight", "1.weight"]
    assert freeze(net, 0) == frozenset()
    assert freeze(net, -1) == {"0.0.weight", "0.0.bias", "0.1.weight", "0.1.bias"} == freeze(net, 2)


def test_rates_differ_by_layer_and_biases_do_not_decay() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    optimizer = Optimizer(net, Recipe(optimizer="sgd", layer_decay=0.5, weight_decay=0.1))
    found = {id(p): (g["factor"], g["weight_decay"]) for g in optimizer.parts[0].param_groups for p in g["params"]}
    expected = {0: (0.5, 0.1), 1: (0.5, 0.0), 2: (1.0, 0.1), 3: (1.0, 0.0)}
    assert [found[id(parameter)] for parameter in net.parameters()] == list(expected.values())


def test_muon_moves_filters_as_torch_moves_their_matrices() -> None:
    def net() -> nn.Sequential:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 6, 3), nn.Flatten(), nn.Linear(6, 2))

    ours, theirs = net(), net()
    optimizer = Optimizer(ours, Recipe(optimizer="muon", momentum=0.9, weight_decay=0.1))
    matrix = nn.Parameter(theirs[1].weight.detach().view(6, -1).clone())
    peer = torch.optim.Muon([matrix], lr=0.02, momentum=0.9, weight_decay=0.1)
    images = torch.ones(2, 3, 3, 3)
    for _ in range(3):
        ours(images).square().sum().backward()
        matrix.grad = ours[1].weight.grad.reshape(6, -1).clone()
        optimizer.step(0.02)
        peer.step()
        assert torch.allclose(ours[1].weight.view(6, -1), matrix, atol=1e-7)
        assert ours[1].weight.grad is None
    assert not torch.equal(ours[0].weight, theirs[0].weight)


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
