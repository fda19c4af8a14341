"""Every attack by name: what it needs, what it costs, where it comes from, and when not to use it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from backlight.attack import gradient
from backlight.errors import UsageError, did_you_mean
from backlight.pixels import Result


@dataclass(frozen=True)
class AttackCard:
    """One attack as the verb `methods` prints it.

    `function` takes a challenge and options and returns a `Result`; `norms` are those it works in, the default
    first; `options` are the names it understands besides the challenge; `nearest` says that it looks for the
    smallest change rather than for any within eps; `targeted` is `no`, `yes` (if asked) or `always`. `passes` is
    the cost per image in words.
    """

    name: str
    function: Callable[..., Result]
    norms: tuple[str, ...]
    options: frozenset[str]
    passes: str
    reference: str
    avoid: str
    nearest: bool = False
    targeted: str = "yes"


def _card(
    name: str,
    function: Callable[..., Result],
    norms: str,
    options: str,
    passes: str,
    reference: str,
    avoid: str,
    nearest: bool = False,
    targeted: str = "yes",
) -> AttackCard:
    return AttackCard(
        name, function, tuple(norms.split()), frozenset(options.split()), passes, reference, avoid, nearest, targeted
    )


_CARDS = (
    _card(
        "fgsm",
        gradient.fgsm,
        "linf",
        "objective",
        "2 forwards, 1 backward",
        "Goodfellow et al., 2015, arXiv:1412.6572",
        "measuring robustness: one step misses most of what PGD finds, and is easily masked",
    ),
    _card(
        "fgm",
        gradient.fgm,
        "l2 linf l1",
        "objective",
        "2 forwards, 1 backward",
        "Miyato et al., 2016, arXiv:1605.07725",
        "measuring robustness: see fgsm",
    ),
    _card(
        "pgd",
        gradient.pgd,
        "linf l2 l1",
        "steps step_size objective",
        "steps + 1 forwards, steps backwards; less where images are fooled sooner",
        "Madry et al., 2018, arXiv:1706.06083",
        "a last word on robustness: its step is fixed and one objective may be masked; autoattack has neither flaw",
    ),
    _card(
        "targeted_l2",
        gradient.targeted_l2,
        "l2",
        "steps step_size objective",
        "steps + 1 forwards, steps backwards",
        "Simonyan et al., 2014, arXiv:1312.6034 (gradient ascent on a class, from a picture)",
        "small perturbations: it stops at the first success, not at the nearest",
        targeted="always",
    ),
)
ATTACKS = {card.name: card for card in _CARDS}


def card_of(name: str) -> AttackCard:
    """Find an attack by name; raises UsageError that lists the nearest names.

    >>> card_of("pgd").norms
    ('linf', 'l2', 'l1')
    """
    if name not in ATTACKS:
        raise UsageError(f"no attack {name!r}", hint=did_you_mean(name, ATTACKS))
    return ATTACKS[name]
