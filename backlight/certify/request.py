"""What certificates are asked for: by which method, how far, and whether attacks are shown beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from statistics import NormalDist
from typing import Any

from backlight.certify.bounds import METHODS, certify_by_bounds
from backlight.certify.smoothing import certify_by_smoothing, check_smoothing
from backlight.core.errors import UsageError
from backlight.core.grammar import parse_epsilon, parse_spec
from backlight.core.options import options_of, read_options

SMOOTHING, EPS = "smoothing", "2/255"
_STEPS_A_SIGMA = 4


@dataclass(frozen=True)
class CertifyRequest:
    """By which method: `smoothing`, with options as `smoothing:sigma=0.25,n=1000`, `ibp` or `crown`.

    `eps` is how far bounds look in linf; smoothing finds a radius for every picture itself, in l2. With `attacked`
    pictures are attacked too, which says how far no certificate could ever reach.

    >>> CertifyRequest("smoothing:sigma=0.5").radii[:3]
    (0.0, 0.125, 0.25)
    """

    method: str = SMOOTHING
    eps: float | str = EPS
    attacked: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def name(self) -> str:
        """Return the method's name; raises UsageError for one that nothing has."""
        name = parse_spec(self.method).name
        if name not in (SMOOTHING, *METHODS):
            raise UsageError(f"method {name!r}", expected=f"{SMOOTHING}, {' or '.join(METHODS)}")
        return name

    @property
    def smoothing(self) -> bool:
        """Tell whether noise is averaged over; otherwise bounds are propagated."""
        return self.name == SMOOTHING

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Return the options of the method with their defaults; raises UsageError for those that it cannot use."""
        function: Callable[..., Any] = certify_by_smoothing if self.smoothing else certify_by_bounds
        known = options_of(function, hidden=("seed", "ids", "eps", "method"))
        found = read_options(self.name, parse_spec(self.method).options, self.options, known)
        settings: dict[str, Any] = {name: one.default for name, one in known.items()} | found
        if self.smoothing:
            check_smoothing(**settings)
        return settings

    @property
    def norm(self) -> str:
        """Return the norm in which certificates hold."""
        return "l2" if self.smoothing else "linf"

    @cached_property
    def size(self) -> float:
        """Return `eps` in pixel units."""
        return parse_epsilon(self.eps)

    @cached_property
    def radii(self) -> tuple[float, ...]:
        """Return where the certified accuracy is told: every quarter of sigma up to the largest radius, or eps."""
        if not self.smoothing:
            return (self.size,)
        sigma = self.settings["sigma"]
        return tuple(step * sigma / _STEPS_A_SIGMA for step in range(int(_STEPS_A_SIGMA * self.largest / sigma) + 1))

    @cached_property
    def largest(self) -> float:
        """Return the largest radius that a picture can get: that of smoothing where all copies agree, or eps."""
        if not self.smoothing:
            return self.size
        sigma, n, alpha = (self.settings[name] for name in ("sigma", "n", "alpha"))
        return float(sigma * NormalDist().inv_cdf(alpha ** (1 / n)))

    def describe(self) -> dict[str, Any]:
        """Return what decides about the results, for a fingerprint and for the document."""
        bound = {} if self.smoothing else {"eps": self.size}
        return {"method": self.name, "options": self.settings, "attacked": self.attacked, **bound}
