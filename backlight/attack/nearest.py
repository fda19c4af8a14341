"""What attacks that look for the nearest success share: what they climb, and how they end."""

from __future__ import annotations

from dataclasses import replace

import torch

from backlight.attack.challenge import Challenge
from backlight.attack.rules.minimum_norm import Halve
from backlight.attack.rules.put_back import PutBack
from backlight.core.errors import UsageError
from backlight.pixels import Measure, Result, Rule, margin

_HALVINGS = 12
_PUT_BACK = 100  # values at most, one a look


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


def halved(free: Challenge, found: Result) -> Result:
    """Halve the line from each original to its success, and keep the nearest success on it: 13 looks, no gradients.

    >>> from backlight.testing import small_challenge
    >>> challenge = small_challenge("l2", None)
    >>> halved(challenge, challenge.begin())
    Result(4 images, 0 successes; ...)
    """
    return _nearer(free, found, Halve(free.images), _HALVINGS, "halve")


def fewer(free: Challenge, found: Result) -> Result:
    """Put changed values back, each where the success outlasts it: a look for each of the 100 that matter least.

    >>> from backlight.testing import small_challenge
    >>> challenge = small_challenge("l0", None)
    >>> fewer(challenge, challenge.begin())
    Result(4 images, 0 successes; ...)
    """
    centers = free.threat.centers(free.images)
    return _nearer(free, found, PutBack(centers, _PUT_BACK), _PUT_BACK, "put back")


def _nearer(free: Challenge, found: Result, rule: Rule, steps: int, stream: str) -> Result:
    ends = free.threat.pixels(torch.where(found.success.view(-1, 1, 1, 1), found.images, free.images))
    nearer = free.approach(gain_of(free), rule, steps=steps, stream=stream, moved=ends, after=found)
    return replace(nearer, steps=found.steps, stopped=found.stopped)


def check_in_norm(challenge: Challenge, name: str, *norms: str) -> None:
    """Raise UsageError unless the challenge is in one of the norms that an attack knows.

    >>> from backlight.testing import small_challenge
    >>> check_in_norm(small_challenge(), "ddn", "l2")
    Traceback (most recent call last):
    backlight.core.errors.UsageError: ddn in linf; expected l2
    """
    if challenge.threat.norm not in norms:
        raise UsageError(f"{name} in {challenge.threat.norm}", expected=" or ".join(norms))
