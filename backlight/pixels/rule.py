"""What a rule is: what the loop tells it, what it answers, and what it must keep."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from backlight.core.random import Random
from backlight.pixels.describe import Brief

State = dict[str, Tensor]
"""What a rule remembers; every tensor is `[A,...]`, since the loop indexes it when images leave."""

Schedule = float | Callable[[int], float]
"""A number, or a function of the turn."""


class Observation(NamedTuple):
    """All that a rule is told about the A images still here; it never sees the model.

    >>> import torch
    >>> point = torch.zeros(2, 3)
    >>> value, gradient = torch.zeros(2), torch.ones(2, 3)
    >>> seen = Observation(0, 10, point, value, gradient, value > 0, Random(0, [0, 1]), lambda params: params)
    >>> seen.gradient.shape
    torch.Size([2, 3])
    """

    t: int
    """The turn: one number for all, since images leave and none joins."""
    steps: int
    params: Tensor
    """The point looked at `[A,...]`, after projection: a rule must not trust its own proposal."""
    value: Tensor
    """The objective there `[A]`, of the same (transformed) view as the gradient."""
    grad: Tensor | None
    """Its gradient `[A,...]`, None where the rule wanted none."""
    success: Tensor
    """Whether the untransformed picture is an answer, bool `[A]`."""
    random: Random
    project: Callable[[Tensor], Tensor]
    """The constraint: parameters to allowed parameters."""

    @property
    def gradient(self) -> Tensor:
        """Return the gradient for rules that ask for one at every turn."""
        assert self.grad is not None, "the rule asked for no gradient at this turn"
        return self.grad


class Update(NamedTuple):
    """What a rule answers.

    >>> import torch
    >>> Update(torch.zeros(2, 3), None).done is None
    True
    """

    params: Tensor
    """The next point to look at `[A,...]`; the loop projects it."""
    state: State
    done: Tensor | None = None
    """Which images have converged, bool `[A]`."""
    diverged: Tensor | None = None
    """Which images a too large step drove away, bool `[A]`."""


class Rule(Brief):
    """Describe how parameters move uphill: arithmetic on per-image tensors, so it is tested without a model.

    Subclasses are frozen dataclasses with a `step`. Whatever all images share must be a function of the turn.

    >>> class Ascent(Rule):
    ...     def step(self, state, seen):
    ...         return Update(seen.params + 0.1 * seen.gradient, state)
    >>> Ascent()
    Ascent()
    """

    pixels: bool = False
    """Needs the geometry of pixels."""
    rejects: bool = False
    """May look at points that it then rejects."""

    def wants_gradient(self, t: int) -> bool:
        """Whether the look at turn `t` needs a backward pass."""
        return True

    def init(self, params: Tensor, rows: Tensor) -> State:
        """Return the first state for start points `[A,...]` at `rows` of the batch."""
        return {}

    def step(self, state: State, seen: Observation) -> Update:
        """Learn from one look and say where to look next."""
        raise NotImplementedError


def at_turn(schedule: Schedule, t: int) -> float:
    """Read a schedule at a turn.

    >>> at_turn(0.1, 5), at_turn(lambda t: 1 / (t + 1), 1)
    (0.1, 0.5)
    """
    return schedule(t) if callable(schedule) else schedule
