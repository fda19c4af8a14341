"""APGD in l1: steps along few signs, whose number follows how sparse the best point is (arXiv:2103.01208)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backlight.pixels import Observation, Rule, Update
from backlight.pixels.geometry import length, per_image
from backlight.pixels.rule import State
from backlight.pixels.sparse import sparse_signs

_EVERY = 0.04  # of all steps, between two looks back
_SPARSER, _SHORTER, _LEAST, _DENSER = 0.95, 1.5, 10, 1.5
_SHARE = 0.2  # of the values that the first steps move, where nothing is known


@dataclass(frozen=True, repr=False, eq=False)
class SparseAPGD(Rule):
    """Step by l1 length along the signs of the largest gradients, shorter unless the best point grew sparser.

    Croce and Hein 2021 (arXiv:2103.01208), algorithm 1. `images` are the originals `[B,...]`, `eps` the ball's size;
    `known` says that runs start from the end of another one, whose sparsity counts.

    >>> SparseAPGD(torch.zeros(1, 3, 2, 2), 12.0).eps
    12.0
    """

    images: Tensor
    eps: float
    known: bool = False
    pixels = True

    def init(self, params: Tensor, rows: Tensor) -> State:
        """Start with the largest step; count what is changed where the start is known."""
        zero = params.new_zeros(len(params))
        values, original = params[0].numel(), self.images[rows]
        changed = length(params - original, "l0")
        return {
            "original": original,
            "best": params,
            "best_gradient": torch.zeros_like(params),
            "best_value": zero - torch.inf,
            "changed": changed if self.known else zero + values,
            "share": changed / (_DENSER * values) if self.known else zero + _SHARE,
            "size": zero + self.eps,
        }

    def step(self, state: State, seen: Observation) -> Update:
        """Remember the best point, look back at times, and move on."""
        improved = seen.value > state["best_value"]
        wide = per_image(improved, seen.params)
        state = state | {
            "best": torch.where(wide, seen.params, state["best"]),
            "best_gradient": torch.where(wide, seen.gradient, state["best_gradient"]),
            "best_value": torch.where(improved, seen.value, state["best_value"]),
        }
        params, gradient = seen.params, seen.gradient
        if seen.t and seen.t % max(1, int(_EVERY * seen.steps)) == 0:
            state, back = self._look_back(state)
            params = torch.where(per_image(back, params), state["best"], params)
            gradient = torch.where(per_image(back, params), state["best_gradient"], gradient)
        moved = params + per_image(state["size"], params) * sparse_signs(gradient, state["share"])
        return Update(seen.project(moved), state)

    def _look_back(self, state: State) -> tuple[State, Tensor]:
        changed = length(state["best"] - state["original"], "l0")
        back = changed < _SPARSER * state["changed"]
        shorter = (state["size"] / _SHORTER).clamp(self.eps / _LEAST, self.eps)
        size = torch.where(back, self.eps, shorter)
        share = changed / (_DENSER * state["best"][0].numel())
        return state | {"changed": changed, "size": size, "share": share}, back
