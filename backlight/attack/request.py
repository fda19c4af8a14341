"""What an evaluation of robustness is asked for: which attack, how large, how completely."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from backlight.attack.card import AttackCard
from backlight.attack.choosing import Attack, ChosenAttack, choose_attack
from backlight.attack.stages import FAST, PLANS, STANDARD, Stage
from backlight.attack.threat import ThreatModel
from backlight.classifier.targets import Target
from backlight.core.errors import UsageError

MODES = ("exact", "audited")
_USUAL = {"l1": "apgd-l1", "l0": "sigma-zero"}  # autoattack knows linf and l2
_USUAL |= {"flow": "stadv", "color": "recolor", "features": "perceptual"}


@dataclass(frozen=True)
class RobustnessRequest:
    """Which attack with which options, and how completely: mode `exact` or `audited`, a budget in seconds.

    Where no attack is named it is autoattack, in l1 apgd-l1, in l0 sigma-zero, in flow, color and features stadv,
    recolor and perceptual.
    Audited runs the costly last stages of autoattack (FAB, Square) on `audit` random survivors only and bounds
    what they would have found among all. A budget stops after the block that uses it up; autoattack within one begins
    with its stand-in autoattack-fast on every picture. `curve` adds the accuracy
    over eps, `checks` looks for signs of masked gradients on some images. `options` are the attack's own (steps,
    step_size, objective); they may stand in `attack` too, as norm, eps and target may: `pgd:eps=2/255,restarts=5`.

    >>> RobustnessRequest("pgd", options={"steps": 10}).mode
    'exact'
    """

    attack: Attack | None = None
    norm: str | None = None
    eps: float | str | None = None
    target: Target = None
    mode: str = "exact"
    budget: float | None = None
    audit: int = 100
    curve: bool = False
    checks: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def chosen(self) -> ChosenAttack:
        """Return the attack with its options; raises UsageError for what it does not understand."""
        attack = _USUAL.get(self.norm or "", "autoattack") if self.attack is None else self.attack
        return choose_attack(attack, norm=self.norm, eps=self.eps, target=self.target, **self.options)

    @property
    def label(self) -> str:
        """Return how the attack was named."""
        return self.chosen.label

    @property
    def card(self) -> AttackCard:
        """Return the attack's card."""
        return self.chosen.card

    @property
    def name(self) -> str:
        """Name the attack, with what makes it less than the whole."""
        parts = [self.label, "audited" if self.mode == "audited" else ""]
        parts.append(f"within {self.budget:g} s" if self.budget is not None else "")
        return ", ".join(part for part in parts if part)

    @property
    def fast_first(self) -> bool:
        """Whether the stand-in for autoattack runs first: what a budget leaves of time goes to the survivors."""
        return self.budget is not None and self.mode == "exact" and self.card.name == "autoattack"

    @property
    def rounds(self) -> list[tuple[Stage, ...]]:
        """Group the stages into rounds over the data: under a budget a picture counts only when all of a round ran."""
        if self.fast_first:
            return [FAST, STANDARD]
        return [self.stages()] if self.budget is not None else [(stage,) for stage in self.stages()]

    @property
    def threat(self) -> ThreatModel:
        """Return the attack's threat model, its own norm and eps filled in."""
        return self.chosen.threat

    @property
    def checked(self) -> dict[str, Any]:
        """Return the attack's options as numbers."""
        return dict(self.chosen.options)

    def stages(self) -> tuple[Stage, ...]:
        """List the attacks to run one after the other; raises UsageError for a mode that does not fit."""
        if self.mode not in MODES:
            raise UsageError(f"mode {self.mode!r}", expected=" or ".join(MODES))
        card = self.card
        if self.curve and self.threat.own is not None:
            found = f"a curve over {self.threat.norm}"
            raise UsageError(found, expected="a norm of pixels: nothing looks for the smallest change otherwise")
        if self.mode == "audited" and card.name != "autoattack":
            raise UsageError(f"an audited {card.name}", expected="autoattack, whose last stages can be sampled")
        if self.fast_first:
            return (*FAST, *STANDARD)
        if card.name in PLANS:
            return tuple(PLANS[card.name])
        return (Stage(card.name, card.run),)
