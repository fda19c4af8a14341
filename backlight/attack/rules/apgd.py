"""Auto-PGD: a step that halves itself at fixed checkpoints (Croce and Hein 2020, arXiv:2003.01690)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backlight.pixels import Observation, Rule, Update
from backlight.pixels.geometry import per_image, unit
from backlight.pixels.rule import State

_PULL = 0.75  # how much of a step is the new one; the rest goes on along the last


def checkpoints(steps: int) -> list[int]:
    """List the turns after which APGD looks back; the gaps shrink from 22% of the steps to 6%.

    >>> checkpoints(100)
    [22, 41, 57, 70, 80, 87, 93, 99]
    """
    gap, least, shrink = (max(int(share * steps), 1) for share in (0.22, 0.06, 0.03))
    turn, found = 0, []
    while turn + gap <= steps:
        turn += gap
        found.append(turn)
        gap = max(gap - shrink, least)
    return found


@dataclass(frozen=True, repr=False)
class APGD(Rule):
    """Step with momentum, and at checkpoints halve the step and go back to the best point where it stalls.

    `norm` is linf or l2, `eps` the ball's size; the first step has length 2 eps. A step stalls when at most `rho`
    of the last steps improved, or when the best value stayed as it was since a checkpoint that halved nothing.

    >>> APGD("linf", 8 / 255).rho
    0.75
    """

    norm: str
    eps: float
    rho: float = 0.75
    pixels = True

    def init(self, params: Tensor, rows: Tensor) -> State:
        """Start with the largest step and nothing seen."""
        zero = params.new_zeros(len(params))
        return {
            "before": params,
            "best": params,
            "best_gradient": torch.zeros_like(params),
            "best_value": zero - torch.inf,
            "value_then": zero,
            "last_value": zero,
            "rises": zero,
            "size": zero + 2 * self.eps,
            "halved": torch.ones_like(zero, dtype=torch.bool),
        }

    def step(self, state: State, seen: Observation) -> Update:
        """Remember the best point, look back at a checkpoint, and move on."""
        state = self._remember(state, seen)
        params, gradient = seen.params, seen.gradient
        marks = [0, *checkpoints(seen.steps)]
        if seen.t in marks[1:]:
            gap = seen.t - marks[marks.index(seen.t) - 1]
            stalled = (state["rises"] <= self.rho * gap) | (
                ~state["halved"] & (state["value_then"] >= state["best_value"])
            )
            params = torch.where(per_image(stalled, params), state["best"], params)
            gradient = torch.where(per_image(stalled, params), state["best_gradient"], gradient)
            state["size"] = torch.where(stalled, state["size"] / 2, state["size"])
            state |= {"halved": stalled, "value_then": state["best_value"], "rises": torch.zeros_like(state["rises"])}
        direction = gradient.sign() if self.norm == "linf" else unit(gradient, seen.random)
        target = seen.project(params + per_image(state["size"], params) * direction)
        pull = _PULL if seen.t else 1.0
        moved = params + (target - params) * pull + (params - state["before"]) * (1 - pull)
        state["before"] = params
        return Update(moved, state)

    def _remember(self, state: State, seen: Observation) -> State:
        state = dict(state)
        value = seen.value
        improved = value > state["best_value"]
        wide = per_image(improved, seen.params)
        state["best"] = torch.where(wide, seen.params, state["best"])
        state["best_gradient"] = torch.where(wide, seen.gradient, state["best_gradient"])
        state["best_value"] = torch.where(improved, value, state["best_value"])
        if seen.t == 0:
            state["value_then"] = value
        else:
            # As in the authors' code, the first step is compared with 0, not with the start's value.
            state["rises"] = state["rises"] + (value > state["last_value"])
            state["last_value"] = value
        return state
