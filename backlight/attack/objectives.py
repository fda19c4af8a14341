"""What attacks climb: for each name one measure, away from the label or towards the target."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from backlight.attack.challenge import Challenge
from backlight.core.errors import UsageError, did_you_mean
from backlight.core.plugins import name_of
from backlight.core.user_code import function_of, is_file_function
from backlight.pixels import Measure, cross_entropy, dlr, dlr_targeted, logit, margin, probability

_AWAY: dict[str, Callable[[Tensor], Measure]] = {
    "cross-entropy": cross_entropy,
    "logit": lambda labels: -logit(labels),
    "probability": lambda labels: -probability(labels),
    "margin": lambda labels: -margin(labels),
    "dlr": dlr,
}
_TOWARDS: dict[str, Callable[[Tensor], Measure]] = {
    "cross-entropy": lambda targets: -cross_entropy(targets),
    "logit": logit,
    "probability": probability,
    "margin": margin,
}
NAMES = tuple(_AWAY)


Loss = Callable[[Tensor, Tensor], Tensor]
"""From logits `[A,K]` and classes int64 `[A]` to one number per image `[A]`, high where the class is not predicted."""
Objective = str | Measure | Loss


def objective_of(challenge: Challenge, objective: Objective) -> Measure:
    """Return what an attack on this challenge climbs.

    `objective` is `cross-entropy`, `logit`, `probability`, `margin` or `dlr`, a function of logits and classes that
    is climbed for the labels and descended for targets (itself or as `file.py:function`), or a measure, climbed as it
    is. The difference of logits ratio needs 3 classes, or 4 with a target; with fewer the margin takes its place.

    Raises UsageError for any other name.

    >>> from backlight.testing import small_challenge
    >>> challenge = small_challenge()
    >>> objective_of(challenge, "dlr")
    -margin(tensor[4])
    >>> objective_of(challenge, lambda logits, classes: -logits.gather(1, classes[:, None])[:, 0])
    lambda(tensor[4])
    """
    found = read_objective(objective)
    if isinstance(found, Measure):
        return found
    if not isinstance(found, str):
        return _loss(found, challenge.labels) if challenge.targets is None else -_loss(found, challenge.targets)
    if challenge.targets is not None:
        return towards(challenge, challenge.targets) if found == "dlr" else _TOWARDS[found](challenge.targets)
    if found == "dlr" and challenge.classes < 3:
        return -margin(challenge.labels)
    return _AWAY[found](challenge.labels)


def read_objective(objective: Objective) -> Objective:
    """Return a known name, a measure or a function as it is, and what `file.py:function` names.

    Raises UsageError for anything else.

    >>> read_objective("dlr")
    'dlr'
    """
    found = function_of(objective) if isinstance(objective, str) and is_file_function(objective) else objective
    if isinstance(found, str) and found not in NAMES:
        raise UsageError(f"objective {found!r}", hint=did_you_mean(found, NAMES))
    if not isinstance(found, (str, Measure)) and not callable(found):
        raise UsageError(f"objective {found!r}", expected="a name, a measure, or a function of logits and classes")
    return found


def objective_name(objective: Objective) -> str:
    """Return the name of an objective, to key random numbers by.

    >>> objective_name("margin")
    'margin'
    """
    return objective if isinstance(objective, str) else name_of(objective)


def _loss(loss: Loss, classes: Tensor) -> Measure:
    return Measure(lambda view: loss(view.logits, view.pick(classes)), f"{name_of(loss)}(tensor[{len(classes)}])")


def towards(challenge: Challenge, targets: Tensor) -> Measure:
    """Return the targeted difference of logits ratio, or with fewer than 4 classes the difference itself.

    >>> from backlight.testing import small_challenge
    >>> challenge = small_challenge()
    >>> towards(challenge, 1 - challenge.labels)
    logit(tensor[4]) - logit(tensor[4])
    """
    if challenge.classes < 4:
        return logit(targets) - logit(challenge.labels)
    return dlr_targeted(challenge.labels, targets)
