"""L-BFGS as a rule: curvature from the last few steps of each image, every trial of its line search one turn."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backlight.pixels.geometry import dot, length, per_image
from backlight.pixels.rule import Observation, Rule, State, Update

_CURVATURE = 1e-10
_SHORTEST = 1e-10


@dataclass(frozen=True, repr=False)
class LBFGS(Rule):
    """Climb by L-BFGS with `memory` pairs per image and backtracking to Armijo's condition.

    A step that gains too little is halved at the next turn, so turns count looks, not accepted steps. An image is
    done when its step or its gradient vanishes (Nocedal and Wright 2006, algorithms 3.1 and 7.4).

    >>> LBFGS(memory=5).rejects
    True
    """

    size: float = 1.0
    memory: int = 10
    armijo: float = 1e-4
    rejects = True

    def init(self, params: Tensor, rows: Tensor) -> State:
        """Start without curvature."""
        count, zeros = len(params), torch.zeros_like(params)
        history = params.new_zeros(count, self.memory, *params.shape[1:])
        return {
            "point": params,
            "value": params.new_full((count,), -torch.inf),
            "gradient": zeros,
            "direction": zeros,
            "size": params.new_ones(count),
            "moves": history,
            "bends": history,
            "inverse": params.new_zeros(count, self.memory),
        }

    def step(self, state: State, seen: Observation) -> Update:
        """Accept the point looked at or step back, and say where to look next."""
        slope = dot(state["gradient"], state["direction"])
        enough = seen.value >= state["value"] + self.armijo * state["size"] * slope
        accepted = per_image(enough, seen.params)
        state = self._remember(state, seen, enough) if seen.t else dict(state)
        state["point"] = torch.where(accepted, seen.params, state["point"])
        state["gradient"] = torch.where(accepted, seen.gradient, state["gradient"])
        state["value"] = torch.where(enough, seen.value, state["value"])
        state["direction"] = torch.where(accepted, self._direction(state), state["direction"])
        state["size"] = torch.where(enough, self._first_size(state, seen), state["size"] / 2)
        params = state["point"] + per_image(state["size"], seen.params) * state["direction"]
        done = (state["size"] < _SHORTEST * self.size) | (length(state["gradient"], "linf") == 0)
        return Update(params, state, done)

    def _first_size(self, state: State, seen: Observation) -> Tensor:
        """Try the full step; at the first turn, without curvature, a step of summed length at most `size`."""
        full = torch.full_like(state["size"], self.size)
        return full if seen.t else full / length(state["gradient"], "l1").clamp(min=1.0)

    def _remember(self, state: State, seen: Observation, enough: Tensor) -> State:
        """Push the accepted step and the change of the downhill gradient, where the curvature is positive."""
        state = dict(state)
        move, bend = seen.params - state["point"], state["gradient"] - seen.gradient
        curvature = dot(move, bend)
        push = enough & (curvature > _CURVATURE)
        for name, new in (("moves", move), ("bends", bend), ("inverse", 1 / curvature)):
            shifted = torch.cat([state[name][:, 1:], new[:, None]], 1)
            state[name] = torch.where(per_image(push, shifted), shifted, state[name])
        return state

    def _direction(self, state: State) -> Tensor:
        """Multiply the gradient by the inverse curvature, by the two-loop recursion."""
        direction, weights = state["gradient"], []
        moves, bends, inverse = state["moves"], state["bends"], state["inverse"]
        for place in reversed(range(self.memory)):
            weight = inverse[:, place] * dot(moves[:, place], direction)
            direction = direction - per_image(weight, direction) * bends[:, place]
            weights.append(weight)
        square = dot(bends[:, -1], bends[:, -1])
        scale = dot(moves[:, -1], bends[:, -1]) / torch.where(square > 0, square, 1.0)
        direction = direction * per_image(torch.where(square > 0, scale, 1.0), direction)
        for place, weight in enumerate(reversed(weights)):
            correction = weight - inverse[:, place] * dot(bends[:, place], direction)
            direction = direction + moves[:, place] * per_image(correction, direction)
        return direction
