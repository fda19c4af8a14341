"""From the name of an attack, with options, or the attack itself, to what is run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from backlight.attack.card import AttackCard
from backlight.attack.measures import MEASURES
from backlight.attack.objectives import read_objective
from backlight.attack.registry import find_attack
from backlight.attack.threat import ThreatModel
from backlight.classifier.targets import Target
from backlight.core.errors import UsageError
from backlight.core.grammar import Spec, parse_number, parse_spec
from backlight.core.options import Option, read_options
from backlight.pixels.ascent import DEFAULT_EPS

Attack = str | AttackCard | Callable[..., Any]
"""A name, `NAME:key=value,key=value`, `file.py:function`, a card, or a function of a challenge."""

_THREAT = {name: Option(name, None, str, optional=True) for name in ("norm", "eps", "target")}
_COUNTS = ("steps", "restarts", "targets", "rivals", "rounds", "queries", "samples", "waves")


@dataclass(frozen=True, eq=False)
class ChosenAttack:
    """An attack with its options, the threat model and the target that were asked for; `label` is how it was named.

    >>> choose_attack("pgd:eps=2/255,restarts=5").options
    {'restarts': 5}
    """

    label: str
    card: AttackCard
    threat: ThreatModel
    target: Target
    options: Mapping[str, Any]


def choose_attack(
    attack: Attack,
    *,
    norm: str | None = None,
    eps: float | str | None = None,
    target: Target = None,
    lattice: bool = False,
    **options: Any,
) -> ChosenAttack:
    """Look an attack up once, with options in its specification or beside it; those that are None are left out.

    `norm`, `eps` and `target` may stand in the specification too, and `flow`, `color` or `features` for the eps of an
    attack that is bounded so. The attack's own norm and eps are filled in.

    Raises UsageError for an unknown attack, norm or option, and for values that do not fit or contradict.

    >>> choose_attack("targeted-l2").card.name, choose_attack("fgsm", eps="2/255").threat.describe()
    ('targeted_l2', 'linf 2/255 = 0.007843 in [0,1] pixels')
    """
    spec = parse_spec(attack) if isinstance(attack, str) else Spec("")
    card = find_attack(spec.name if isinstance(attack, str) else attack)
    label = str(Spec(card.name, spec.options))
    beside = {"norm": norm, "eps": eps, "target": target, **options}
    # What stands in the place of a norm names its bound, too: stadv:flow=0.05.
    named = {name: Option(name, None, str, optional=True) for name in card.norms if name in MEASURES}
    found = read_options(card.name, spec.options, beside, {**card.options, **_THREAT, **named})
    threat = {name: found.pop(name, None) for name in _THREAT}
    for name in named:
        threat["eps"] = _agreed(card.name, name, found.pop(name, None), threat["eps"])
    for name in _COUNTS:
        if found.get(name) is not None and found[name] < 1:
            raise UsageError(f"{found[name]} {name}", expected="1 or more")
    if "objective" in found:
        found["objective"] = read_objective(found["objective"])
    model = _threat_model(card, threat["norm"], threat["eps"], lattice)
    return ChosenAttack(label, card, model, threat["target"], found)


def _agreed(attack: str, name: str, named: Any, eps: Any) -> Any:
    if named is not None and eps is not None and parse_number(named) != parse_number(eps):
        raise UsageError(f"{attack}: the bound is given twice, {name}={named} and eps={eps}", expected="one of them")
    return eps if named is None else named


def _threat_model(card: AttackCard, norm: str | None, eps: float | str | None, lattice: bool) -> ThreatModel:
    norm = card.norms[0] if norm is None else norm
    if norm not in card.norms:
        raise UsageError(f"{card.name} in {norm}", expected=" or ".join(card.norms))
    if eps is None and not card.minimum_norm and card.targeted != "always":
        eps = MEASURES[norm].eps if norm in MEASURES else DEFAULT_EPS[norm]
    return ThreatModel(norm, eps, lattice)
