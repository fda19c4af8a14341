"""What a study of transfer is asked for: which attacks, how large, and whether models gang up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from backlight.attack.choosing import Attack, ChosenAttack, choose_attack
from backlight.attack.threat import ThreatModel
from backlight.core.errors import UsageError, counted
from backlight.core.grammar import split_specs

EPS = "16/255"
_LEAST, _LEAST_TOGETHER = 2, 3
USUAL = ("i-fgsm", "mi", "mi+dim")
"""Attacks of ten passes a picture: what momentum adds, and what resizing adds to that."""


@dataclass(frozen=True)
class TransferRequest:
    """Which attacks, each as `choose_attack` takes it, and how large a change may be in linf.

    `options` (steps, step_size, objective, samples) go to every attack that has them; they may stand in its
    specification too. With `ensemble` each model is also attacked by all others together, which takes three models.
    `surrogates` names the models that are attacked, all of them where it is empty; all are shown what was made.

    >>> TransferRequest.of("mi,mi+dim:steps=5").labels
    ('mi', 'mi+dim:steps=5')
    """

    attacks: tuple[Attack, ...] = USUAL
    eps: float | str = EPS
    ensemble: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    surrogates: tuple[str, ...] = ()

    @classmethod
    def of(cls, attacks: str | Sequence[Attack] = USUAL, **more: Any) -> TransferRequest:
        """Read attacks that are named in a row, with commas between.

        Raises UsageError for an empty list.
        """
        return cls(split_specs(attacks) if isinstance(attacks, str) else tuple(attacks), **more)

    @cached_property
    def chosen(self) -> tuple[ChosenAttack, ...]:
        """Return the attacks with their options.

        Raises UsageError for what an attack does not understand, for no attack, and for one that is named twice.
        """
        found = tuple(self._choose(attack) for attack in self.attacks)
        labels = [one.label for one in found]
        if not found or len(set(labels)) < len(labels):
            twice = next((one for one in labels if labels.count(one) > 1), "")
            raise UsageError(f"{twice} twice" if twice else "no attack", expected="attacks, each once")
        for name in (name for name, value in self.options.items() if value is not None):
            if not any(name in one.card.options for one in found):
                raise UsageError(f"option {name!r}", expected=f"one of {', '.join(found[0].card.options)}")
        return found

    def _choose(self, attack: Attack) -> ChosenAttack:
        known = choose_attack(attack, norm="linf", eps=self.eps, lattice=True)
        if known.target is not None:
            raise UsageError(f"{known.label} with a target", expected="attacks that want any wrong class")
        own = {name: value for name, value in self.options.items() if name in known.card.options}
        return choose_attack(attack, norm="linf", eps=self.eps, lattice=True, **own)

    def check_count(self, models: int) -> None:
        """Raise UsageError for too few models: transfer takes two, an ensemble of all others three."""
        least = _LEAST_TOGETHER if self.ensemble else _LEAST
        if models < least:
            kind = "ensembles of all other models" if self.ensemble else "transfer"
            found = f"{kind} with {counted(models, 'model')}"
            raise UsageError(found, expected=f"{least} or more", hint="--model again")

    @property
    def labels(self) -> tuple[str, ...]:
        """Return how the attacks were named."""
        return tuple(one.label for one in self.chosen)

    @property
    def threat(self) -> ThreatModel:
        """Return what is allowed: pictures within eps that an 8-bit file holds."""
        return ThreatModel("linf", self.eps, lattice=True)

    def describe(self) -> dict[str, Any]:
        """Return what decides about the results, for a fingerprint and for the document."""
        options = {one.label: dict(one.options) for one in self.chosen}
        who = {"ensemble": self.ensemble, "surrogates": list(self.surrogates)}
        return {"attacks": list(self.labels), "eps": self.threat.size, "options": options, **who}
