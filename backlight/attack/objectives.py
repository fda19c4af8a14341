"""What attacks climb: for each name one measure, away from the label or towards the target."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from backlight.attack.challenge import Challenge
from backlight.errors import UsageError, did_you_mean
from backlight.pixels import Measure, cross_entropy, dlr, dlr_targeted, logit, margin, probability

_AWAY: dict[str, Callable[[Tensor], Measure]] = {
    "cross-entropy": cross_entropy,
    "logit": lambda labels: -logit(labels),
    "probability": lambda labels: -probability(labels),
    "margin": margin,
    "dlr": dlr,
}
_TOWARDS: dict[str, Callable[[Tensor], Measure]] = {
    "cross-entropy": lambda targets: -cross_entropy(targets),
    "logit": logit,
    "probability": probability,
    "margin": lambda targets: -margin(targets),
}
NAMES = tuple(_AWAY)


def objective_of(challenge: Challenge, name: str) -> Measure:
    """Return what an attack on this challenge climbs: `cross-entropy`, `logit`, `probability`, `margin` or `dlr`.

    The difference of logits ratio needs 3 classes, or 4 with a target; with fewer the margin takes its place.

    Raises UsageError for any other name.

    >>> import torch
    >>> from torch import nn
    >>> from backlight import Classifier
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    >>> challenge = Challenge.of(Classifier.from_module(net, size=2), torch.rand(4, 3, 2, 2))
    >>> objective_of(challenge, "dlr")
    margin(tensor[4])
    """
    if name not in NAMES:
        raise UsageError(f"objective {name!r}", hint=did_you_mean(name, NAMES))
    if challenge.targets is not None:
        return towards(challenge, challenge.targets) if name == "dlr" else _TOWARDS[name](challenge.targets)
    if name == "dlr" and challenge.classes < 3:
        return margin(challenge.labels)
    return _AWAY[name](challenge.labels)


def towards(challenge: Challenge, targets: Tensor) -> Measure:
    """Return the targeted difference of logits ratio, or with fewer than 4 classes the difference itself.

    >>> import torch
    >>> from torch import nn
    >>> from backlight import Classifier
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    >>> challenge = Challenge.of(Classifier.from_module(net, size=2), torch.rand(4, 3, 2, 2))
    >>> towards(challenge, 1 - challenge.labels)
    logit(tensor[4]) - logit(tensor[4])
    """
    if challenge.classes < 4:
        return logit(targets) - logit(challenge.labels)
    return dlr_targeted(challenge.labels, targets)
