"""What attacks that look for the nearest success share: what they climb, and how they end."""

from __future__ import annotations

from backlight.attack.challenge import Challenge
from backlight.core.errors import UsageError
from backlight.pixels import Measure, Result, margin


def gain_of(challenge: Challenge) -> Measure:
    """Return how far a picture is on the attacker's side: minus the label's margin, or the target's.

    >>> from backlight.testing import small_challenge
    >>> gain_of(small_challenge())
    -margin(tensor[4])
    """
    return -margin(challenge.labels) if challenge.targets is None else margin(challenge.targets)


def settled(challenge: Challenge, result: Result, after: Result | None) -> Result:
    """Confirm successes within the threat model's own eps, and merge with what stood before.

    >>> from backlight.testing import small_challenge
    >>> challenge = small_challenge()
    >>> settled(challenge, challenge.begin(), None)
    Result(4 images, 0 successes; 4 not run)
    """
    before = challenge.begin() if after is None else after
    return before.merge(challenge.referee.confirm(result))


def check_in_norm(challenge: Challenge, name: str, *norms: str) -> None:
    """Raise UsageError unless the challenge is in one of the norms that an attack knows.

    >>> from backlight.testing import small_challenge
    >>> check_in_norm(small_challenge(), "ddn", "l2")
    Traceback (most recent call last):
    backlight.core.errors.UsageError: ddn in linf; expected l2
    """
    if challenge.threat.norm not in norms:
        raise UsageError(f"{name} in {challenge.threat.norm}", expected=" or ".join(norms))
