"""What is known of an attack: its name, what it needs and costs, where it comes from, and when not to use it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from backlight.attack.challenge import Challenge
from backlight.core.options import Option, options_of
from backlight.core.plugins import UNSTATED
from backlight.pixels import Result

_AFTER = "after"
_NORMS = ("linf", "l2", "l1")


@dataclass(frozen=True)
class AttackCard:
    """One attack as the verb `methods` prints it.

    `function` takes a challenge and options (its keyword-only parameters) and returns a `Result`, or pictures
    `[B,C,H,W]` alone; with a parameter `after` it is handed the result so far, and only images without success in
    it need to run. `norms` are those it works in, the default first; `minimum_norm` says that it looks for the
    smallest change rather than for any within eps; `targeted` is `no`, `yes` (if asked) or `always`. `passes` is
    the cost per image in words. `settled` says that every success it returns is the referee's already; what others
    claim is judged.

    >>> def nothing(challenge, *, steps=3):
    ...     return challenge.images
    >>> card = AttackCard("nothing", nothing)
    >>> card.norms, list(card.options)
    (('linf', 'l2', 'l1'), ['steps'])
    """

    name: str
    function: Callable[..., Result | Tensor]
    norms: tuple[str, ...] = _NORMS
    passes: str = UNSTATED
    reference: str = UNSTATED
    avoid: str = UNSTATED
    minimum_norm: bool = False
    targeted: str = "yes"
    settled: bool = False
    stands_in_for: str = ""
    """The published attack that it approximates, and whose place it never takes in a paper; empty for all others."""
    outputs_only: bool = False
    """Whether it asks for no gradient, so that what a picture costs is its number of queries."""
    decisions_only: bool = False
    """Whether of outputs it reads the predicted class alone."""

    @property
    def needs(self) -> str:
        """Return what it asks of the model: `gradients`, `scores`, or the `label` alone."""
        if self.decisions_only:
            return "label"
        return "scores" if self.outputs_only else "gradients"

    @property
    def options(self) -> Mapping[str, Option]:
        """Return the options that the attack understands besides the challenge, by name."""
        return options_of(self.function, hidden=(_AFTER,))

    def run(self, challenge: Challenge, *, after: Result | None = None, **options: Any) -> Result:
        """Attack the images that `after` leaves and merge with it; every success is confirmed by the referee."""
        if self.settled:
            found = self.function(challenge, after=after, **options)
            assert isinstance(found, Result)
            return found
        before = challenge.begin() if after is None else after
        takes_after = _AFTER in inspect.signature(self.function).parameters
        found = self.function(challenge, **({_AFTER: before} if takes_after else {}), **options)
        return before.merge(challenge.claim(found))


def settled_card(
    name: str,
    function: Callable[..., Result],
    norms: str,
    passes: str,
    reference: str,
    avoid: str,
    minimum_norm: bool = False,
    targeted: str = "yes",
    stands_in_for: str = "",
    needs: str = "gradients",
) -> AttackCard:
    """Describe an attack of our own, whose every success is the referee's already.

    `norms` with blanks between; `needs` as the card gives it back.

    >>> settled_card("fgsm", lambda challenge: challenge.begin(), "linf l2", "none", "none", "always").norms
    ('linf', 'l2')
    """
    known = (name, function, tuple(norms.split()), passes, reference, avoid, minimum_norm, targeted)
    return AttackCard(
        *known,
        settled=True,
        stands_in_for=stands_in_for,
        outputs_only=needs != "gradients",
        decisions_only=needs == "label",
    )
