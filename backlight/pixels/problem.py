"""Everything that a run does not change, checked before any long work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from backlight.classifier import Classifier
from backlight.core.errors import InputError, UsageError
from backlight.core.fingerprint import fingerprint
from backlight.core.random import Random, Seed, hash_ids
from backlight.pixels.constraints import Constraint
from backlight.pixels.measure import Measure
from backlight.pixels.parametrizations import Parametrization
from backlight.pixels.rule import Rule
from backlight.pixels.transforms import Transforms

RandomKey = tuple[Seed, Tensor | Sequence[int] | Sequence[str] | None]
"""What keys random numbers: a seed, and the images' ids (their places in the batch for None)."""

Keep = str | Measure
"""Which picture is kept: "best" (the highest objective), "last", or the highest of a measure."""


@dataclass(frozen=True, eq=False)
class Problem:
    """Hold what is climbed, by what, how and under which rules; raise where the parts do not fit.

    Raises UsageError for parts that do not go together, InputError for values that cannot be used.
    """

    classifier: Classifier | None
    objective: Measure
    parametrization: Parametrization
    rule: Rule
    steps: int
    constraint: Constraint | None
    transforms: Transforms | None
    success: Measure | None
    stop: Measure | None
    keep: Keep
    random: RandomKey
    ids: Tensor = field(init=False)

    def __post_init__(self) -> None:
        seed, ids = self.random
        count = len(self.parametrization)
        keys = torch.arange(count) if ids is None else hash_ids(ids)
        if len(keys) != count:
            raise InputError(f"{len(keys)} ids for {count} images", expected="one id per image")
        object.__setattr__(self, "ids", keys)
        if self.steps < 0:
            raise InputError(f"{self.steps} steps", expected="0 or more")
        self._check_parts()

    def _check_parts(self) -> None:
        if not self.parametrization.pixels and (self.constraint is not None or self.rule.pixels):
            needy = self.rule if self.constraint is None else self.constraint
            raise UsageError(
                f"{needy} needs pixels, {self.parametrization} moves something else", hint="Pixels, or a penalty"
            )
        if isinstance(self.keep, str) and self.keep not in ("best", "last"):
            raise UsageError(f"keep={self.keep!r}", expected="'best', 'last' or a measure")
        if self.keep == "last" and self.rule.rejects:
            raise UsageError(f"{self.rule} may reject the point it looked at last", hint="keep='best'")
        if self.classifier is None and self.layers:
            raise InputError(f"{self.objective} reads {sorted(self.layers)}", expected="a classifier that gives them")

    @cached_property
    def layers(self) -> frozenset[str]:
        """Unite the layers that the measures read: all of them come from one forward pass."""
        measures = (self.objective, self.success, self.stop, self.keep)
        return frozenset().union(*(one.layers for one in measures if isinstance(one, Measure)))

    def draws(self, purpose: str, rows: Tensor, t: int = 0) -> Random:
        """Key the random numbers of some rows for a purpose at a turn."""
        return Random((self.random[0], purpose), self.ids.to(rows.device)[rows], t)

    def projection(self, rows: Tensor, t: int) -> Callable[[Tensor], Tensor]:
        """Return the constraint for some rows as a function of their parameters."""
        constraint = self.constraint
        if constraint is None:
            return lambda params: params
        return lambda params: constraint.project(params, rows, t)

    @cached_property
    def _hash(self) -> str:
        measures = (self.objective, self.success, self.stop, self.keep)
        parts = (self.parametrization, self.rule, self.steps, self.constraint, self.transforms)
        return fingerprint(self.classifier, measures, parts, self.random[0], self.ids)

    def fingerprint(self) -> str:
        """Hash all of it, pictures and weights too, so that a saved run never goes on with another problem."""
        return self._hash
