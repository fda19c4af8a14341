"""Optimizers against torch's own, their groups, and their state."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn

from backlight.core.errors import UsageError
from backlight.train.optimizers import Optimizer
from backlight.train.recipe import Recipe


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


@pytest.mark.parametrize(
    ("name", "peer"),
    [
        ("sgd", lambda free: torch.optim.SGD(free, momentum=0.9, nesterov=True)),
        ("adam", torch.optim.Adam),
        ("adamw", lambda free: torch.optim.AdamW(free, weight_decay=0.0)),
    ],
)
def test_steps_are_those_of_torch_at_the_rate_of_the_step(name: str, peer: Callable) -> None:
    ours, theirs = (nn.Linear(3, 2, dtype=torch.float64) for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    optimizer, other = (
        Optimizer(ours, Recipe(optimizer=name, momentum=0.9, weight_decay=0.0)),
        peer(theirs.parameters()),
    )
    images = torch.rand(4, 3, dtype=torch.float64)
    for rate in (0.1, 0.05, 0.2):
        for net in (ours, theirs):
            net(images).square().sum().backward()
        optimizer.step(rate)
        other.param_groups[0]["lr"] = rate
        other.step()
        other.zero_grad()
        assert torch.allclose(ours.weight, theirs.weight, rtol=1e-12)
        assert ours.weight.grad is None


def test_a_state_goes_on_where_it_was() -> None:
    nets = [nn.Linear(3, 2, dtype=torch.float64) for _ in range(2)]
    images = torch.rand(4, 3, dtype=torch.float64)
    first, second = (Optimizer(net, Recipe(optimizer="adam")) for net in nets)
    nets[0](images).sum().backward()
    first.step(0.1)
    nets[1].load_state_dict(nets[0].state_dict())
    second.load_state_dict(copy.deepcopy(first.state_dict()))  # as a file would hold it
    for net, optimizer in zip(nets, (first, second)):
        net(images).square().sum().backward()
        optimizer.step(0.1)
    assert torch.equal(nets[0].weight, nets[1].weight)


def test_nothing_left_to_train_is_an_error() -> None:
    with pytest.raises(UsageError, match="no parameter is left"):
        Optimizer(nn.Linear(2, 2).requires_grad_(False), Recipe())
