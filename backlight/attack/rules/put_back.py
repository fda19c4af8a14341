"""Fewer changed values: put them back one by one, those that matter least first."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backlight.pixels import Observation, Rule, Update
from backlight.pixels.geometry import per_image
from backlight.pixels.rule import State


@dataclass(frozen=True, repr=False, eq=False)
class PutBack(Rule):
    """Put changed values back to the originals `[B,...]`, one a look, and leave there what success outlasts.

    Runs start at a success. The order is that of the gains lost to first order, by the one gradient asked for at the
    start; at most `most` values are tried.

    >>> rule = PutBack(torch.zeros(1, 3, 2, 2), most=5)
    >>> rule.wants_gradient(0), rule.wants_gradient(1)
    (True, False)
    """

    images: Tensor
    most: int
    pixels = True

    def wants_gradient(self, t: int) -> bool:
        """Ask for the gradient at the start alone."""
        return t == 0

    def init(self, params: Tensor, rows: Tensor) -> State:
        """Hold what the run starts from."""
        order = torch.zeros(len(params), min(self.most, params[0].numel()), dtype=torch.int64, device=params.device)
        return {"original": self.images[rows], "kept": params, "order": order, "count": order[:, 0]}

    def step(self, state: State, seen: Observation) -> Update:
        """Keep what still succeeds, and put the next value back."""
        if seen.t == 0:
            state = state | self._ranked(state["original"], seen)
        kept = torch.where(per_image(seen.success, seen.params), seen.params, state["kept"])
        at = state["order"][:, min(seen.t, state["order"].shape[1] - 1), None]
        tried = kept.flatten(1).scatter(1, at, state["original"].flatten(1).gather(1, at)).view_as(kept)
        return Update(tried, state | {"kept": kept}, done=state["count"] <= seen.t)

    def _ranked(self, original: Tensor, seen: Observation) -> State:
        """Order the changed values by what the gain loses without them; those that are not changed come last."""
        change = (seen.params - original).flatten(1)
        lost = torch.where(change == 0, torch.inf, change * seen.gradient.flatten(1))
        order = lost.argsort(dim=1, stable=True)[:, : self.most]
        return {"order": order, "count": (change != 0).sum(1).clamp(max=order.shape[1])}
