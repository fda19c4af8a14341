"""Small networks and pictures that the attack tests share."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from backlight.attack.stages import STANDARD, Stage


def pictures(count: int, size: int = 16, seed: int = 0) -> Tensor:
    """Draw 8-bit pictures [count,3,size,size] in [0,1]."""
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, size, size), generator=draw) / 255


def sharp_net(classes: int = 5, seed: int = 0, scale: float = 10.0) -> nn.Module:
    """Build a random net for 16 px whose prediction small changes flip."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.Tanh(), nn.Flatten(), nn.Linear(392, classes))
        with torch.no_grad():
            net[3].weight *= scale
    return net.eval()


def short_plan(steps: int = 10, queries: int = 30) -> tuple[Stage, ...]:
    """Give the stages of AutoAttack with few steps and queries: the same path through all of them, sooner walked."""
    return tuple(
        Stage(one.name, partial(one.function, steps=queries if one.name == "square" else steps)) for one in STANDARD
    )


def fixed_net() -> nn.Module:
    """Build a smooth two-layer net for 4 px from formulas alone, float64, the same on every machine."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(48, 16), nn.Tanh(), nn.Linear(16, 5)).double()
    with torch.no_grad():
        for number, parameter in enumerate(net.parameters()):
            places = torch.arange(parameter.numel(), dtype=torch.float64)
            parameter.copy_(torch.sin(places * 12.9898 + number * 78.233).mul(1.5).view_as(parameter))
    return net.eval()


def fixed_images(count: int = 6) -> Tensor:
    """Give pictures [count,3,4,4] from a formula, float64."""
    return (torch.sin(torch.arange(count * 48, dtype=torch.float64) * 7.7).view(count, 3, 4, 4) + 1) / 2
