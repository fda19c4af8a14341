"""Adam's two running means, for rules that do more with them than step."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from backlight.pixels.rule import State

FIRST, SECOND, _FLOOR = 0.9, 0.999, 1e-8


def fresh_momenta(params: Tensor) -> State:
    """Start both running means at zero.

    >>> sorted(fresh_momenta(torch.zeros(1, 3)))
    ['mean', 'square']
    """
    return {"mean": torch.zeros_like(params), "square": torch.zeros_like(params)}


def learn_momenta(state: State, gradient: Tensor, t: int) -> tuple[State, Tensor]:
    """Add a gradient at turn `t` to both means, and return the direction of Adam's step, of length about one.

    >>> learn_momenta(fresh_momenta(torch.zeros(1, 2)), torch.tensor([[0.5, -2.0]]), 0)[1]
    tensor([[ 1.0000, -1.0000]])
    """
    mean = state["mean"].lerp(gradient, 1 - FIRST)
    square = state["square"].lerp(gradient.square(), 1 - SECOND)
    state = state | {"mean": mean, "square": square}
    return state, (mean / (1 - FIRST ** (t + 1))) / spread(state, t)


def spread(state: State, t: int) -> Tensor:
    """Return what Adam divides its step by after turn `t`: the root of the mean square, a little above zero.

    >>> state, _ = learn_momenta(fresh_momenta(torch.zeros(1, 2)), torch.tensor([[0.5, -2.0]]), 0)
    >>> spread(state, 0)
    tensor([[0.5000, 2.0000]])
    """
    return state["square"].sqrt().div_(math.sqrt(1 - SECOND ** (t + 1))).add_(_FLOOR)
