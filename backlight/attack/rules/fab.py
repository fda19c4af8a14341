"""FAB: step over the linearized boundary, biased towards the original (Croce and Hein 2020, arXiv:1907.02044)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backlight.attack.rules.plane import to_plane
from backlight.pixels import Observation, Rule, Update
from backlight.pixels.geometry import dot, length, per_image
from backlight.pixels.rule import State

_SHORTEST = 1e-8  # keeps the bias defined where a distance is zero


@dataclass(frozen=True, repr=False, eq=False)
class FAB(Rule):
    """Look in pairs: even turns linearize and step over the boundary, odd turns see whether that crossed it.

    The objective is the difference of logits that is zero on the boundary. `images` are the originals `[B,...]`.
    Steps overshoot by `overshoot`; at most `bias` of each comes from the original's own projection; after a
    crossing the distance shrinks to `shrink` of itself.

    >>> FAB(torch.zeros(1, 3, 2, 2), "linf").wants_gradient(1)
    False
    """

    images: Tensor
    norm: str
    bias: float = 0.1
    overshoot: float = 1.05
    shrink: float = 0.9
    pixels = True

    def wants_gradient(self, t: int) -> bool:
        """Ask for gradients at even turns."""
        return t % 2 == 0

    def init(self, params: Tensor, rows: Tensor) -> State:
        """Remember the originals."""
        return {"original": self.images[rows]}

    def step(self, state: State, seen: Observation) -> Update:
        """Step over the boundary, or back towards the original."""
        original = state["original"]
        if seen.t % 2:
            back = original + (seen.params - original) * self.shrink
            return Update(torch.where(per_image(seen.success, back), back, seen.params), state)
        return Update(self.cross(seen.params, original, seen.value, seen.gradient), state)

    def cross(self, params: Tensor, original: Tensor, value: Tensor, gradient: Tensor) -> Tensor:
        """Mix the projections of the point and of the original on the linearized boundary."""
        offset = dot(gradient, params) - value
        both = to_plane(torch.cat([params, original]), gradient.repeat(2, 1, 1, 1), offset.repeat(2), self.norm)
        here, there = both.chunk(2)
        near, far = (length(one, self.norm).clamp(min=_SHORTEST) for one in (here, there))
        share = per_image((near / (near + far)).clamp(max=self.bias), params)
        return (params + self.overshoot * here) * (1 - share) + (original + self.overshoot * there) * share


@dataclass(frozen=True, repr=False, eq=False)
class NearestPlane(FAB):
    """FAB without a target: look at the planes of `rivals` classes in turn, step over the nearest, then check.

    The objective at turn t belongs to rival t modulo (rivals + 1); the last look of each round is the check.

    >>> NearestPlane(torch.zeros(1, 3, 2, 2), "linf", rivals=9).wants_gradient(9)
    False
    """

    rivals: int = 9

    def wants_gradient(self, t: int) -> bool:
        """Ask for gradients at all looks but the check."""
        return t % (self.rivals + 1) != self.rivals

    def init(self, params: Tensor, rows: Tensor) -> State:
        """Remember the originals, and no plane yet."""
        zero = params.new_zeros(len(params))
        nearest = {"reach": zero + torch.inf, "value": zero, "gradient": torch.zeros_like(params)}
        return {"original": self.images[rows], **nearest}

    def step(self, state: State, seen: Observation) -> Update:
        """Compare one more plane, step over the nearest, or go back towards the original."""
        phase, original = seen.t % (self.rivals + 1), state["original"]
        if phase == self.rivals:
            back = original + (seen.params - original) * self.shrink
            return Update(torch.where(per_image(seen.success, back), back, seen.params), state)
        state = nearer_plane(state, seen, self.norm, fresh=phase == 0)
        if phase < self.rivals - 1:
            return Update(seen.params, state)
        return Update(self.cross(seen.params, original, state["value"], state["gradient"]), state)


_DUAL = {"linf": "l1", "l2": "l2", "l1": "linf"}


def nearer_plane(state: State, seen: Observation, norm: str, *, fresh: bool) -> State:
    """Keep the value and gradient of the nearest linearized boundary seen in this round.

    The distance of a plane is |value| over the gradient's dual norm.
    """
    slope = length(seen.gradient, _DUAL[norm]).clamp(min=torch.finfo(seen.value.dtype).tiny)
    reach = seen.value.abs() / slope
    nearer = torch.ones_like(seen.success) if fresh else reach < state["reach"]
    return state | {
        "reach": torch.where(nearer, reach, state["reach"]),
        "value": torch.where(nearer, seen.value, state["value"]),
        "gradient": torch.where(per_image(nearer, seen.gradient), seen.gradient, state["gradient"]),
    }
