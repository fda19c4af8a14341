"""What an evaluation of robustness is asked for: which attack, how large, how completely."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backlight.attack.adversarial import checked_options, threat_for
from backlight.attack.registry import card_of
from backlight.attack.stages import PLANS, Stage
from backlight.attack.threat import ThreatModel
from backlight.classifier.targets import Target
from backlight.errors import UsageError

MODES = ("exact", "audited")


@dataclass(frozen=True)
class RobustnessRequest:
    """Which attack with which options, and how completely: mode `exact` or `audited`, a budget in seconds.

    Audited runs the costly last stages of autoattack (FAB, Square) on `audit` random survivors only and bounds
    what they would have found among all. A budget stops after the block that uses it up. `curve` adds the accuracy
    over eps, `checks` looks for signs of masked gradients on some images. `options` are the attack's own (steps,
    step_size, objective).

    >>> RobustnessRequest("pgd", options={"steps": 10}).mode
    'exact'
    """

    attack: str = "autoattack"
    norm: str | None = None
    eps: float | str | None = None
    target: Target = None
    mode: str = "exact"
    budget: float | None = None
    audit: int = 100
    curve: bool = False
    checks: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name the attack, with what makes it less than the whole."""
        parts = [self.attack, "audited" if self.mode == "audited" else ""]
        parts.append(f"within {self.budget:g} s" if self.budget is not None else "")
        return ", ".join(part for part in parts if part)

    @property
    def threat(self) -> ThreatModel:
        """Fill in the attack's own norm and eps."""
        return threat_for(card_of(self.attack), self.norm, self.eps)

    @property
    def checked(self) -> dict[str, Any]:
        """Return the attack's options as numbers; raises UsageError for those that it does not understand."""
        return checked_options(card_of(self.attack), self.options)

    def stages(self) -> tuple[Stage, ...]:
        """List the attacks to run one after the other; raises UsageError for a mode that does not fit."""
        if self.mode not in MODES:
            raise UsageError(f"mode {self.mode!r}", expected=" or ".join(MODES))
        if self.mode == "audited" and self.attack != "autoattack":
            raise UsageError(f"an audited {self.attack}", expected="autoattack, whose last stages can be sampled")
        if self.attack in PLANS:
            return tuple(PLANS[self.attack])
        return (Stage(self.attack, card_of(self.attack).function),)
