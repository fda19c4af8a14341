"""What is asked for: a perturbation or a patch, how large, towards which class, and how long it is learned."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

import torch
from torch import Tensor

from backlight.attack.threat import ThreatModel
from backlight.attack.universal.change import GREY, Change, Patch, Perturbation
from backlight.attack.universal.placing import SHAPES
from backlight.core.errors import UsageError, counted
from backlight.core.grammar import parse_epsilon, parse_number
from backlight.pixels import Adam, Rule, Sign, Unit
from backlight.pixels.constraints import PROJECTIONS
from backlight.pixels.geometry import check_norm

_SMALLER = 10  # than eps is a step


@dataclass(frozen=True)
class UniversalRequest:
    """What a perturbation and a patch have in common.

    `target` is the class that every picture is to be taken for, None for any wrong one; `pictures` how many are looked
    at in a step; `share` which part of the data is learned from, where no other data is measured on.

    >>> isinstance(PatchRequest(), UniversalRequest), PerturbationRequest().kind
    (True, 'perturbation')
    """

    kind: ClassVar[str]

    target: str | int | None = None
    pictures: int = 16
    share: float = 0.5

    def check(self) -> None:
        """Raise UsageError for numbers that cannot be meant."""
        if self.pictures < 1:
            raise UsageError(f"{self.pictures} pictures in a step", expected="1 or more")
        if not 0 < self.share < 1:
            raise UsageError(f"a share of {self.share:g} to learn from", expected="between 0 and 1, as 0.5")

    def describe(self) -> dict[str, Any]:
        """Return what decides about the results, for a fingerprint and for the document."""
        return {"kind": self.kind} | asdict(self)

    def begin(self, shape: tuple[int, ...]) -> Tensor:
        """Return the values from which learning starts, for pictures of a shape (channels, height, width)."""
        raise NotImplementedError

    def change_of(self, values: Tensor) -> Change:
        """Return the change that has these values `[C,...]`."""
        raise NotImplementedError

    @property
    def rule(self) -> Rule:
        """Return how the change moves."""
        raise NotImplementedError

    def count_steps(self, pictures: int) -> int:
        """Count the steps of learning from so many pictures."""
        raise NotImplementedError


@dataclass(frozen=True)
class PerturbationRequest(UniversalRequest):
    """A perturbation of at most `eps` in a norm, learned in so many `epochs` by steps of `step_size` (eps / 10).

    Steps go along the sign of the gradient (l2: along the gradient) of the mean cross-entropy, which counts at most 9
    for a picture, so that those that are fooled already do not outweigh the others (Shafahi et al. 2020).

    >>> PerturbationRequest(eps="8/255").rule
    Sign(0.003137254901960784, 0.0)
    """

    kind: ClassVar[str] = "perturbation"

    eps: float | str = "10/255"
    norm: str = "linf"
    epochs: int = 10
    step_size: float | str | None = None

    def check(self) -> None:
        """Raise UsageError for numbers that cannot be meant."""
        super().check()
        check_norm(self.norm, PROJECTIONS)
        if not self.threat.size > 0:
            raise UsageError(f"eps {self.eps}", expected="more than 0, or nothing may change", hint="--eps 10/255")
        if self.epochs < 1:
            raise UsageError(counted(self.epochs, "epoch"), expected="1 or more")
        if not self.length > 0:
            raise UsageError(f"a step size of {self.step_size}", expected="more than 0")

    @property
    def threat(self) -> ThreatModel:
        """Return what is allowed: pictures within eps that an 8-bit file holds."""
        return ThreatModel(self.norm, self.eps, lattice=True)

    @property
    def length(self) -> float:
        """Return the length of a step."""
        return self.threat.size / _SMALLER if self.step_size is None else parse_epsilon(self.step_size, self.norm)

    @property
    def rule(self) -> Rule:
        """Return how the perturbation moves."""
        return Sign(self.length) if self.norm == "linf" else Unit(self.length)

    def describe(self) -> dict[str, Any]:
        """Return what decides about the results, sizes as numbers."""
        return super().describe() | {"eps": self.threat.size, "step_size": self.length}

    def begin(self, shape: tuple[int, ...]) -> Tensor:
        """Begin without any change; raises UsageError for one that rounding to 8 bits would take away."""
        if lost := self.threat.lost_to_rounding(math.prod(shape)):
            raise UsageError(lost, expected="a change that an 8-bit file holds")
        return torch.zeros(shape)

    def change_of(self, values: Tensor) -> Perturbation:
        """Return the perturbation that has these values `[C,H,W]`."""
        return Perturbation(values, self.norm, self.threat.size)

    def count_steps(self, pictures: int) -> int:
        """Count the steps: every picture once in each epoch."""
        return self.epochs * math.ceil(pictures / self.pictures)


@dataclass(frozen=True)
class PatchRequest(UniversalRequest):
    """A patch in the `shape` of a circle or a square, learned in so many `steps` of Adam by `step_size` each.

    `size` is its side as a share of a picture's shorter side, or a range of these, each from 0 to 1; `degrees` how far
    it is turned at most either way. It starts in mid-grey (Brown et al. 2017).

    >>> PatchRequest(size="0.2-0.5").sides, PatchRequest(size=0.3).sides
    ((0.2, 0.5), (0.3, 0.3))
    """

    kind: ClassVar[str] = "patch"

    shape: str = "circle"
    size: str | float | tuple[float, float] = (0.2, 0.5)
    degrees: float = 22.5
    steps: int = 500
    step_size: float | str = 5 / 255

    def check(self) -> None:
        """Raise UsageError for numbers that cannot be meant."""
        super().check()
        if self.shape not in SHAPES:
            raise UsageError(f"a patch in the shape {self.shape!r}", expected=" or ".join(SHAPES))
        if not 0 < self.sides[0] <= self.sides[1]:
            raise UsageError(f"a patch of the size {self.size}", expected="a share above 0, or a range as 0.2-0.5")
        if self.sides[1] > 1:
            found = f"a patch of {self.sides[1]:g} of the picture's shorter side is larger than the picture"
            raise UsageError(found, expected="a share of at most 1, or a range as 0.2-0.5")
        if not 0 <= self.degrees <= 180:
            raise UsageError(f"a turn of up to {self.degrees:g} degrees", expected="0 to 180")
        if self.steps < 1:
            raise UsageError(counted(self.steps, "step"), expected="1 or more")
        if not self.length > 0:
            raise UsageError(f"a step size of {self.step_size}", expected="more than 0")

    @property
    def sides(self) -> tuple[float, float]:
        """Return the smallest and the largest side, as shares of a picture's shorter side."""
        if isinstance(self.size, tuple):
            return self.size
        first, _, last = str(self.size).partition("-")
        return parse_number(first), parse_number(last or first)

    @property
    def length(self) -> float:
        """Return the length of a step."""
        return parse_epsilon(self.step_size)

    @property
    def rule(self) -> Rule:
        """Return how the patch moves."""
        return Adam(self.length)

    def describe(self) -> dict[str, Any]:
        """Return what decides about the results, sizes as numbers."""
        return super().describe() | {"size": list(self.sides), "step_size": self.length}

    def begin(self, shape: tuple[int, ...]) -> Tensor:
        """Begin in grey, with as many pixels as the largest patch covers; raises UsageError where that is none."""
        channels, *frame = shape
        side = round(self.sides[1] * min(frame))
        if side < 1:
            found = f"a patch of {self.sides[1]:g} of {min(frame)} pixels"
            raise UsageError(found, expected="one pixel or more")
        return torch.full((channels, side, side), GREY)

    def change_of(self, values: Tensor) -> Patch:
        """Return the patch that has these values `[C,S,S]`."""
        return Patch(values, self.shape, self.sides, self.degrees)

    def count_steps(self, pictures: int) -> int:
        """Count the steps: as many as were asked for."""
        return self.steps


def read_universal_request(patch: str | None = None, **options: Any) -> UniversalRequest:
    """Request a `patch` of that shape, or a perturbation where it is None, with those of the options that are not None.

    Raises UsageError for an option that the other of the two has.

    >>> read_universal_request("square", target=3, eps=None).kind, read_universal_request(eps="8/255").kind
    ('patch', 'perturbation')
    """
    kind = PerturbationRequest if patch is None else PatchRequest
    given = {name: value for name, value in {"shape": patch, **options}.items() if value is not None}
    known = [one.name for one in fields(kind)]
    for name in given:
        if name not in known:
            hint = "" if patch else "--patch circle"
            raise UsageError(f"{name} of a {kind.kind}", expected=f"one of {', '.join(known)}", hint=hint)
    asked: UniversalRequest = kind(**given)
    asked.check()
    return asked
