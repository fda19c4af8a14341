"""Attacks that follow the gradient at a fixed step: FGSM, FGM, PGD, and a targeted walk in l2."""

from __future__ import annotations

from backlight.attack.challenge import Challenge
from backlight.attack.objectives import Objective, objective_of
from backlight.core.errors import UsageError
from backlight.pixels import Result, Unit
from backlight.pixels.ascent import Ascent

_WALK = 0.1  # l2 length of a step where no eps limits the walk


def fgsm(challenge: Challenge, *, objective: Objective = "cross-entropy", after: Result | None = None) -> Result:
    """Take one step of size eps along the gradient's sign (Goodfellow et al. 2015, arXiv:1412.6572), linf.

    Raises UsageError for another norm, or without an eps.

    >>> from backlight.testing import small_challenge
    >>> fgsm(small_challenge()).steps.max()
    tensor(1)
    """
    if challenge.threat.norm != "linf":
        raise UsageError(f"fgsm in {challenge.threat.norm}", expected="linf", hint="fgm, one step in l2 or l1")
    return fgm(challenge, objective=objective, after=after)


def fgm(challenge: Challenge, *, objective: Objective = "cross-entropy", after: Result | None = None) -> Result:
    """Take one step of size eps along the steepest direction of the norm (Miyato et al. 2016, arXiv:1605.07725).

    Raises UsageError without an eps.

    >>> from backlight.testing import small_challenge
    >>> fgm(small_challenge("l2", 0.5)).backwards.max()
    tensor(1)
    """
    eps = bound_of(challenge, "a one-step attack")
    rule = Ascent(challenge.threat.norm, eps, steps=1, step_size=eps).rule
    return challenge.climb(objective_of(challenge, objective), rule, steps=1, stream="fgm", after=after)


def pgd(
    challenge: Challenge,
    *,
    steps: int = 40,
    step_size: float | None = None,
    objective: Objective = "cross-entropy",
    restarts: int = 1,
    momentum: float = 0.0,
    stop: bool = True,
    after: Result | None = None,
) -> Result:
    """Climb by projected steps from a random start in the ball (Madry et al. 2018, arXiv:1706.06083).

    `step_size` is in the norm's units, 2.5 eps / steps by default. Every restart begins elsewhere, for the images
    that are still not fooled. `stop=False` goes on after a success and keeps the highest objective.

    Raises UsageError without an eps.

    >>> from backlight.testing import small_challenge
    >>> result = pgd(small_challenge(), steps=5)
    >>> bool((result.forwards <= 6).all())
    True
    """
    ascent = Ascent(challenge.threat.norm, bound_of(challenge, "pgd"), steps, step_size, momentum)
    for restart in range(restarts):
        after = challenge.climb(
            objective_of(challenge, objective),
            ascent.rule,
            steps=steps,
            stream=("pgd", restart),
            moved=challenge.pixels(ascent.start),
            after=after,
            stop=stop,
        )
    return challenge.begin() if after is None else after


def targeted_l2(
    challenge: Challenge,
    *,
    steps: int = 200,
    step_size: float | None = None,
    objective: Objective = "probability",
    after: Result | None = None,
) -> Result:
    """Walk from the image by l2-normalized gradient steps that raise the target until it is predicted.

    Each step has l2 length `step_size`, by default 2.5 eps / steps, or 0.1 where there is no eps. The exercise
    of "fooling images" with the target's probability; `logit` and `cross-entropy` do not saturate.

    Raises UsageError without a target, or in another norm than l2.

    >>> from backlight.testing import small_challenge
    >>> targeted_l2(small_challenge("l2", None, target="least-likely")).images.shape
    torch.Size([4, 3, 2, 2])
    """
    if challenge.targets is None:
        raise UsageError("targeted_l2 without a target", hint="a label, random or least-likely")
    if challenge.threat.norm != "l2":
        raise UsageError(f"targeted_l2 in {challenge.threat.norm}", expected="l2")
    bounded = challenge.threat.eps is not None
    size = (2.5 * challenge.threat.size / max(steps, 1) if bounded else _WALK) if step_size is None else step_size
    climbed = objective_of(challenge, objective)
    return challenge.climb(climbed, Unit(size), steps=steps, stream="targeted_l2", after=after)


def bound_of(challenge: Challenge, name: str) -> float:
    """Return the threat model's eps; raises UsageError where there is none.

    >>> from backlight.testing import small_challenge
    >>> bound_of(small_challenge(), "pgd") == 8 / 255
    True
    """
    if challenge.threat.eps is None:
        raise UsageError(f"{name} without an eps", expected="a bound such as '8/255'")
    return challenge.threat.size
