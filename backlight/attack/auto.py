"""The four attacks of AutoAttack: APGD, APGD-T, FAB-T and Square, and untargeted FAB."""

from __future__ import annotations

import torch
from torch import Tensor

from backlight.attack.challenge import Challenge
from backlight.attack.gradient import bound_of
from backlight.attack.objectives import Objective, objective_name, objective_of, towards
from backlight.attack.rules.apgd import APGD
from backlight.attack.rules.fab import FAB, NearestPlane
from backlight.attack.rules.square import Square, SquareL2, Stripes, Tiles
from backlight.core.errors import UsageError
from backlight.pixels import Measure, Result, Surface, Transforms, View, logit, margin
from backlight.pixels.starts import Start


def apgd(
    challenge: Challenge,
    *,
    steps: int = 100,
    objective: Objective = "cross-entropy",
    restarts: int = 1,
    transforms: Transforms | None = None,
    after: Result | None = None,
) -> Result:
    """Run Auto-PGD from the surface of the ball (Croce and Hein 2020, arXiv:2003.01690), linf or l2.

    101 forwards and 100 backwards for an image that is never fooled. `transforms` average the gradient over random
    views.

    Raises UsageError in l1, or without an eps.

    >>> import torch
    >>> from torch import nn
    >>> from backlight import Classifier
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    >>> apgd(Challenge.of(Classifier.from_module(net, size=2), torch.rand(4, 3, 2, 2)), steps=10).images.shape
    torch.Size([4, 3, 2, 2])
    """
    norm, eps = _ball(challenge, "apgd")
    after = challenge.begin() if after is None else after
    for restart in range(restarts):
        after = challenge.climb(
            objective_of(challenge, objective),
            APGD(norm, eps),
            steps=steps,
            stream=("apgd", objective_name(objective), restart),
            moved=challenge.pixels(Surface(norm, eps)),
            after=after,
            transforms=transforms,
        )
    return after


def apgd_t(challenge: Challenge, *, steps: int = 100, targets: int = 9, after: Result | None = None) -> Result:
    """Run Auto-PGD towards each of the most likely wrong classes in turn, by the targeted DLR, linf or l2.

    Images leave at their first success. With fewer than 4 classes the difference of logits takes DLR's place.

    Raises UsageError in l1, or without an eps.

    >>> import torch
    >>> from torch import nn
    >>> from backlight import Classifier
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    >>> apgd_t(Challenge.of(Classifier.from_module(net, size=2), torch.rand(4, 3, 2, 2)), steps=10).images.shape
    torch.Size([4, 3, 2, 2])
    """
    return apgd_at(challenge, challenge.rivals(targets), steps=steps, stream="apgd-t", after=after)


def apgd_at(challenge: Challenge, classes: Tensor, *, steps: int, stream: str, after: Result | None = None) -> Result:
    """Run Auto-PGD towards each of some classes per image in turn, int64 `[B,n]`, by the targeted DLR.

    >>> import torch
    >>> from torch import nn
    >>> from backlight import Classifier
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    >>> challenge = Challenge.of(Classifier.from_module(net, size=2), torch.rand(4, 3, 2, 2))
    >>> apgd_at(challenge, challenge.rivals(1), steps=10, stream="mine").images.shape
    torch.Size([4, 3, 2, 2])
    """
    norm, eps = _ball(challenge, stream)
    after = challenge.begin() if after is None else after
    for number, target in enumerate(classes.T):
        after = challenge.climb(
            towards(challenge, target),
            APGD(norm, eps),
            steps=steps,
            stream=(stream, number),
            moved=challenge.pixels(Surface(norm, eps)),
            after=after,
        )
    return after


def fab_t(challenge: Challenge, *, steps: int = 100, targets: int = 9, after: Result | None = None) -> Result:
    """Run FAB towards each of the most likely wrong classes (Croce and Hein 2020, arXiv:1907.02044).

    Looks for the nearest success; with an eps, an image leaves once one within it is found. 200 forwards and 100
    backwards per target for an image that never leaves.

    >>> import torch
    >>> from torch import nn
    >>> from backlight import Classifier
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    >>> fab_t(Challenge.of(Classifier.from_module(net, size=2), torch.rand(4, 3, 2, 2)), steps=5).images.shape
    torch.Size([4, 3, 2, 2])
    """
    after = challenge.begin() if after is None else after
    for number, target in enumerate(challenge.rivals(targets).T):
        after = challenge.approach(
            logit(target) - logit(challenge.labels),
            FAB(challenge.images, challenge.threat.norm),
            steps=2 * steps - 1,
            stream=("fab-t", number),
            after=after,
        )
    return after


def fab(challenge: Challenge, *, steps: int = 100, restarts: int = 1, after: Result | None = None) -> Result:
    """Run FAB without a target: every step crosses the nearest of all linearized boundaries.

    Restarts begin at random points of half the ball. Each step looks once per other class and once to check.

    >>> import torch
    >>> from torch import nn
    >>> from backlight import Classifier
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    >>> fab(Challenge.of(Classifier.from_module(net, size=2), torch.rand(4, 3, 2, 2)), steps=5).images.shape
    torch.Size([4, 3, 2, 2])
    """
    rivals = challenge.rivals(challenge.classes)
    count = rivals.shape[1]
    rule = NearestPlane(challenge.images, challenge.threat.norm, rivals=count)
    after = challenge.begin() if after is None else after
    for restart in range(restarts):
        start: Start | None = Surface(challenge.threat.norm, challenge.threat.size / 2) if restart else None
        after = challenge.approach(
            each_in_turn(challenge, count + 1),
            rule,
            steps=steps * (count + 1) - 1,
            stream=("fab", restart),
            moved=challenge.threat.pixels(challenge.images, start),
            after=after,
        )
    return after


def each_in_turn(challenge: Challenge, period: int) -> Measure:
    """Return the difference of logits between rival number t modulo `period` and the label.

    >>> import torch
    >>> from torch import nn
    >>> from backlight import Classifier
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    >>> each_in_turn(Challenge.of(Classifier.from_module(net, size=2), torch.rand(4, 3, 2, 2)), 2)
    logit(rival) - logit(label)
    """
    rivals = challenge.rivals(challenge.classes)

    def difference(view: View) -> Tensor:
        number = min(view.t % period, rivals.shape[1] - 1)
        pair = torch.stack([view.pick(rivals)[:, number], view.pick(challenge.labels)], 1)
        found = view.logits.gather(1, pair)
        return found[:, 0] - found[:, 1]

    return Measure(difference, "logit(rival) - logit(label)")


def square(challenge: Challenge, *, steps: int = 5000, after: Result | None = None) -> Result:
    """Search by random squares with `steps` queries, without gradients (arXiv:1912.00049), linf or l2.

    Raises UsageError in l1, or without an eps.

    >>> import torch
    >>> from torch import nn
    >>> from backlight import Classifier
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    >>> int(square(Challenge.of(Classifier.from_module(net, size=2), torch.rand(4, 3, 2, 2)), steps=9).backwards.max())
    0
    """
    norm, eps = _ball(challenge, "square")
    linf = norm == "linf"
    climbed = margin(challenge.targets) if challenge.targets is not None else -margin(challenge.labels)
    return challenge.climb(
        climbed,
        Square(eps) if linf else SquareL2(eps, images=challenge.images),
        steps=steps,
        stream="square",
        moved=challenge.pixels(Stripes(eps) if linf else Tiles(eps)),
        after=after,
    )


def _ball(challenge: Challenge, name: str) -> tuple[str, float]:
    if challenge.threat.norm == "l1":
        raise UsageError(f"{name} in l1", expected="linf or l2")
    return challenge.threat.norm, bound_of(challenge, name)
