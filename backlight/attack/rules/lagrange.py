"""Steps for a price: find how long a step is in another measure, climb by ever shorter ones, come back to the bound."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backlight.pixels.geometry import per_image, unit
from backlight.pixels.rule import Observation, Rule, State, Update

_FIRST = 0.01  # root mean square of the first guess at a step, in pixel units
_LAST = 0.1  # of the first step's length, the last one's


@dataclass(frozen=True, repr=False)
class Lagrange(Rule):
    """Step along normalized gradients, in lengths that a measure other than the pixels' gives (Laidlaw et al. 2021).

    The first `probes` looks bisect how far to go along the first gradient until the measure reaches `bound`: the length
    of the first step. From it steps fall to a tenth, over `climbs` of them, as LPA's do; LPA measures every step anew
    for one more look each. The last `probes` looks bisect the line from the original to the last point for
    the bound. At the looks that bisect, `probing` says so, and the value must be the measure instead of the objective.

    >>> rule = Lagrange(bound=0.5, climbs=20, probes=8)
    >>> rule.looks, [t for t in range(rule.looks + 1) if rule.wants_gradient(t)][:3], rule.probing(1)
    (36, [0, 9, 10], True)
    """

    bound: float
    climbs: int = 20
    probes: int = 8
    pixels = True

    @property
    def looks(self) -> int:
        """Count the steps that the loop is to take."""
        return self.climbs + 2 * self.probes

    def probing(self, t: int) -> bool:
        """Whether the look at turn `t` asks for the measure: a bisection, or nothing that is left to learn."""
        return 0 < t <= self.probes or t > self._climbed

    @property
    def _climbed(self) -> int:
        return self.probes + self.climbs - 1

    def wants_gradient(self, t: int) -> bool:
        """Ask for gradients where a step is taken."""
        return not self.probing(t)

    def init(self, params: Tensor, rows: Tensor) -> State:
        """Begin at the original, which every line starts from."""
        return self._line(params, torch.zeros_like(params), 0.0) | {"length": params.new_zeros(len(params))}

    def step(self, state: State, seen: Observation) -> Update:
        """Bisect, step, or go back, as the turn says."""
        if seen.t == 0:
            first = _FIRST * seen.params[0].numel() ** 0.5
            state = state | self._line(seen.params, unit(seen.gradient, seen.random), first)
            return self._at(state)
        if seen.t < self.probes or seen.t > self._climbed:
            return self._at(self._bisected(state, seen.value))
        if seen.t == self.probes:
            state = self._bisected(state, seen.value)
            return self._at(state | {"length": state["share"]})
        if seen.t == self._climbed:
            origin = state["origin"]
            line = self._line(origin, seen.params - origin, 0.5) | {"high": torch.ones_like(state["high"])}
            return self._at(state | line)
        length = state["length"] * _LAST ** ((seen.t - self.probes) / self.climbs)
        return Update(seen.params + per_image(length, seen.params) * unit(seen.gradient, seen.random), state)

    def _line(self, origin: Tensor, direction: Tensor, share: float) -> State:
        nothing = origin.new_zeros(len(origin))
        shares = {"share": nothing + share, "low": nothing, "high": nothing + torch.inf}
        return {"origin": origin, "direction": direction, **shares}

    def _bisected(self, state: State, far: Tensor) -> State:
        """Take the last share as an end of the bracket, and twice the lower end where there is no upper one."""
        over = far > self.bound
        low = torch.where(over, state["low"], state["share"])
        high = torch.where(over, state["share"], state["high"])
        share = torch.where(high.isinf(), 2 * low, (low + high) / 2)
        return state | {"share": share, "low": low, "high": high}

    def _at(self, state: State) -> Update:
        share = per_image(state["share"], state["direction"])
        return Update(state["origin"] + share * state["direction"], state)
