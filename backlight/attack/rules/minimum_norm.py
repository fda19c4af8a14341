"""Rules that look for the nearest success: DDN, FMN, DeepFool, and halving a line."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from backlight.attack.rules.plane import to_plane
from backlight.pixels import Observation, Rule, Update
from backlight.pixels.geometry import dot, length, per_image, unit
from backlight.pixels.rule import State

_DUAL = {"linf": "l1", "l2": "l2"}
_MISSED, _OUT_OF_REACH = 1e-2, 1e6  # a plane that the box does not touch comes after all others


def _cosine(first: float, last: float, t: int, steps: int) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * t / (steps + 1))) / 2


def _farthest(original: Tensor, norm: str) -> Tensor:
    """Return the distance of the farthest corner of the box: no change can be larger."""
    return length(torch.maximum(original, 1 - original), norm)


def _open(gradient: Tensor, params: Tensor) -> Tensor:
    """Leave out of a gradient what the box would cut off anyway, so that lengths count what can move."""
    shut = ((params <= 0) & (gradient < 0)) | ((params >= 1) & (gradient > 0))
    return torch.where(shut, 0.0, gradient)


@dataclass(frozen=True, repr=False, eq=False)
class DDN(Rule):
    """Decouple direction and norm: step along the gradient, then set the l2 distance, smaller after successes.

    Rony et al. 2019 (arXiv:1811.09600), algorithm 1. `images` are the originals `[B,...]`.

    >>> DDN(torch.zeros(1, 3, 2, 2)).gamma
    0.05
    """

    images: Tensor
    gamma: float = 0.05
    first: float = 1.0
    pixels = True

    def init(self, params: Tensor, rows: Tensor) -> State:
        """Start at distance `first`."""
        original = self.images[rows]
        farthest = _farthest(original, "l2")
        return {"original": original, "farthest": farthest, "radius": torch.full_like(farthest, self.first)}

    def step(self, state: State, seen: Observation) -> Update:
        """Step, and rescale the offset to the new radius."""
        original = state["original"]
        size = _cosine(1.0, 0.01, seen.t, seen.steps)
        offset = seen.params - original + size * unit(_open(seen.gradient, seen.params), seen.random)
        factor = torch.where(seen.success, 1 - self.gamma, 1 + self.gamma)
        radius = torch.minimum(state["radius"] * factor, state["farthest"])
        scale = radius / length(offset, "l2").clamp(min=torch.finfo(radius.dtype).tiny)
        return Update(original + offset * per_image(scale, offset), state | {"radius": radius})


@dataclass(frozen=True, repr=False, eq=False)
class FMN(Rule):
    """Fast minimum norm: a ball that shrinks while the picture succeeds, else grows or jumps to the boundary.

    Pintor et al. 2021 (arXiv:2102.12827), algorithm 1, in linf and l2. The objective is minus the margin; `images` are
    the originals `[B,...]`. Distances and step lengths shrink along cosines.

    >>> FMN(torch.zeros(1, 3, 2, 2), "l2").norm
    'l2'
    """

    images: Tensor
    norm: str
    gamma: tuple[float, float] = (0.05, 0.001)
    alpha: tuple[float, float] = (1.0, 0.01)
    pixels = True

    def init(self, params: Tensor, rows: Tensor) -> State:
        """Start with an unknown radius and nothing found."""
        original = self.images[rows]
        farthest = _farthest(original, self.norm)
        return {
            "original": original,
            "farthest": farthest,
            "radius": torch.full_like(farthest, torch.inf),
            "nearest": farthest,
            "found": torch.zeros_like(farthest, dtype=torch.bool),
        }

    def step(self, state: State, seen: Observation) -> Update:
        """Set the radius, step, and project on the ball of that radius."""
        gradient = _open(seen.gradient, seen.params)
        state = self._learn(state, seen, gradient)
        original, radius = state["original"], per_image(state["radius"], seen.params)
        offset = seen.params - original + _cosine(*self.alpha, seen.t, seen.steps) * unit(gradient, seen.random)
        if self.norm == "linf":
            offset = torch.minimum(torch.maximum(offset, -radius), radius)
        else:
            far = per_image(length(offset, "l2"), offset)
            offset = torch.where(far > radius, offset * (radius / far.clamp(min=1e-30)), offset)
        return Update(original + offset, state)

    def _learn(self, state: State, seen: Observation, gradient: Tensor) -> State:
        gamma = _cosine(*self.gamma, seen.t, seen.steps)
        far = length(seen.params - state["original"], self.norm)
        nearest = torch.where(seen.success, torch.minimum(far, state["nearest"]), state["nearest"])
        found = state["found"] | seen.success
        slope = length(gradient, _DUAL[self.norm]).clamp(min=1e-12)
        # Exactly onto the linearized boundary would never be across it.
        jump = (far + seen.value.abs() / slope) * (1 + gamma)
        shrunk = torch.minimum(state["radius"] * (1 - gamma), nearest)
        missed = torch.where(found, state["radius"] * (1 + gamma), jump)
        radius = torch.minimum(torch.where(seen.success, shrunk, missed), state["farthest"])
        return state | {"radius": radius, "nearest": nearest, "found": found}


@dataclass(frozen=True, repr=False, eq=False)
class DeepFool(Rule):
    """Look at the planes of `rivals` classes in turn, then step over the nearest (Moosavi-Dezfooli et al. 2016).

    arXiv:1511.04599, algorithm 2, with distances and steps that respect the box. The objective at turn t belongs
    to rival t modulo `rivals`. `images` are the originals `[B,...]`; the whole offset is stretched by `overshoot`.

    >>> DeepFool(torch.zeros(1, 3, 2, 2), "l2", rivals=9).overshoot
    0.02
    """

    images: Tensor
    norm: str
    rivals: int
    overshoot: float = 0.02
    pixels = True

    def init(self, params: Tensor, rows: Tensor) -> State:
        """Remember the originals; nothing walked yet."""
        zero = torch.zeros_like(params)
        reach = params.new_full((len(params),), torch.inf)
        return {"original": self.images[rows], "walked": zero, "nearest": zero, "reach": reach}

    def step(self, state: State, seen: Observation) -> Update:
        """Compare one more plane; after the last, step over the nearest."""
        offset = dot(seen.gradient, seen.params) - seen.value
        there = to_plane(seen.params, seen.gradient, offset, self.norm)
        missed = (seen.value + dot(seen.gradient, there)).abs() > _MISSED * seen.value.abs()
        reach = length(there, self.norm) + torch.where(missed, _OUT_OF_REACH, 0.0)
        nearer = (reach < state["reach"]) | (seen.t % self.rivals == 0)
        nearest = torch.where(per_image(nearer, there), there, state["nearest"])
        state = state | {"nearest": nearest, "reach": torch.where(nearer, reach, state["reach"])}
        if seen.t % self.rivals < self.rivals - 1:
            return Update(seen.params, state)
        walked = state["walked"] + nearest
        return Update(state["original"] + (1 + self.overshoot) * walked, state | {"walked": walked})


@dataclass(frozen=True, repr=False, eq=False)
class Halve(Rule):
    """Halve the line from the originals `[B,...]` to where the run starts, without gradients.

    >>> Halve(torch.zeros(1, 3, 2, 2)).wants_gradient(0)
    False
    """

    images: Tensor
    pixels = True

    def wants_gradient(self, t: int) -> bool:
        """Never ask for gradients."""
        return False

    def init(self, params: Tensor, rows: Tensor) -> State:
        """Bracket the boundary between the original and the start."""
        zero = params.new_zeros(len(params))
        return {"original": self.images[rows], "end": params, "low": zero, "high": zero + 1, "at": zero + 1}

    def step(self, state: State, seen: Observation) -> Update:
        """Look at the middle of what is left."""
        high = torch.where(seen.success, state["at"], state["high"])
        low = torch.where(seen.success, state["low"], state["at"])
        middle = (low + high) / 2
        offset = state["end"] - state["original"]
        return Update(
            state["original"] + per_image(middle, offset) * offset, state | {"low": low, "high": high, "at": middle}
        )
