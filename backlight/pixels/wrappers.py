"""Rules around rules: steps in the network's input space, periodic blur, a stop where values diverge."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backlight.images.blur import gaussian_blur
from backlight.pixels.rule import Observation, Rule, State, Update


@dataclass(frozen=True, repr=False)
class InputSpace(Rule):
    """Let a rule step in the network's input space, pixels divided by `std` per channel.

    Learning rates and norms of papers that normalize pictures first mean the same here.

    >>> from backlight.pixels.rules import Unit
    >>> InputSpace(Unit(1.0), (0.229, 0.224, 0.225))
    InputSpace(Unit(1.0), (0.229, 0.224, 0.225))
    """

    rule: Rule
    std: tuple[float, ...]
    pixels = True

    @property
    def rejects(self) -> bool:  # type: ignore[override]
        """Whether the rule inside rejects points."""
        return self.rule.rejects

    def wants_gradient(self, t: int) -> bool:
        """Ask the rule inside."""
        return self.rule.wants_gradient(t)

    def _std(self, params: Tensor) -> Tensor:
        return params.new_tensor(self.std).view(1, -1, *[1] * (params.ndim - 2))

    def init(self, params: Tensor, rows: Tensor) -> State:
        """Start the rule inside in its own units."""
        return self.rule.init(params / self._std(params), rows)

    def step(self, state: State, seen: Observation) -> Update:
        """Show the rule inside a look in its own units, and bring its move back."""
        std = self._std(seen.params)
        grad = None if seen.grad is None else seen.grad * std
        inside = seen._replace(
            params=seen.params / std, grad=grad, project=lambda params: seen.project(params * std) / std
        )
        move = self.rule.step(state, inside)
        return move._replace(params=move.params * std)


@dataclass(frozen=True, repr=False)
class Blurring(Rule):
    """Blur pictures by `sigma` pixels after the moves of turns 0, `every`, 2 `every`, ...

    >>> from backlight.pixels.rules import SGD
    >>> Blurring(SGD(25.0), every=10, sigma=0.5)
    Blurring(SGD(25.0, 0.0), 10, 0.5)
    """

    rule: Rule
    every: int
    sigma: float
    pixels = True

    def wants_gradient(self, t: int) -> bool:
        """Ask the rule inside."""
        return self.rule.wants_gradient(t)

    def init(self, params: Tensor, rows: Tensor) -> State:
        """Start the rule inside."""
        return self.rule.init(params, rows)

    def step(self, state: State, seen: Observation) -> Update:
        """Update by the rule inside, and blur what the constraint makes of it when it is time."""
        move = self.rule.step(state, seen)
        if not self.every or seen.t % self.every:
            return move
        return move._replace(params=gaussian_blur(seen.project(move.params), self.sigma))


@dataclass(frozen=True, repr=False)
class Watched(Rule):
    """Stop images whose loss (minus the objective) exceeds `factor` times the one that they began with.

    A learning rate that is too large shows that way long before numbers overflow.

    >>> from backlight.pixels.rules import SGD
    >>> Watched(SGD(0.1), factor=100.0)
    Watched(SGD(0.1, 0.0), 100.0)
    """

    rule: Rule
    factor: float = 100.0

    @property
    def pixels(self) -> bool:  # type: ignore[override]
        """Whether the rule inside needs pixels."""
        return self.rule.pixels

    @property
    def rejects(self) -> bool:  # type: ignore[override]
        """Whether the rule inside rejects points."""
        return self.rule.rejects

    def wants_gradient(self, t: int) -> bool:
        """Ask the rule inside."""
        return self.rule.wants_gradient(t)

    def init(self, params: Tensor, rows: Tensor) -> State:
        """Start the rule inside, with no first loss yet."""
        return {**self.rule.init(params, rows), "first loss": params.new_zeros(len(params))}

    def step(self, state: State, seen: Observation) -> Update:
        """Update by the rule inside, and say which images diverged."""
        first = -seen.value if seen.t == 0 else state["first loss"]
        inner = {name: one for name, one in state.items() if name != "first loss"}
        move = self.rule.step(inner, seen)
        limit = self.factor * first.abs().clamp(min=torch.finfo(first.dtype).eps * seen.params[0].numel())
        return move._replace(state={**move.state, "first loss": first}, diverged=-seen.value > limit)
