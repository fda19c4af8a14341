"""Small networks and pictures that the attack tests share."""

from __future__ import annotations

import torch
from torch import Tensor, nn


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
