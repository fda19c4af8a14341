"""Prove an attack."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from backlight.attack import Challenge, ThreatModel, choose_attack
from backlight.attack.choosing import Attack, ChosenAttack
from backlight.classifier import Classifier
from backlight.classifier.targets import Target
from backlight.core.random import Random
from backlight.pixels import Result
from backlight.testing.setting import (
    COUNT,
    IDS,
    TOLERANCE,
    from_everywhere,
    global_seed,
    require,
    require_same,
    small_classifier,
    small_pictures,
)

_EPS = {"linf": 0.1, "l2": 1.5, "l1": 20.0, "l0": 40.0, "flow": 0.2, "color": 0.1, "features": 0.3}


def check_attack(attack: Attack) -> None:
    """Prove an attack in each of its norms: in the ball, true claims, the same twice and alone, the model unchanged.

    `attack` is what `backlight.attack.attack` takes. It is also asked for pictures that an 8-bit file holds, as the
    command line asks for them.

    Raises AssertionError that says what does not hold, and what the attack raises.

    >>> check_attack("pgd:steps=3")
    """
    for norm in choose_attack(attack).card.norms:
        nearest = choose_attack(attack).threat.eps is None
        chosen = choose_attack(attack, norm=norm, eps=None if nearest else _EPS[norm])
        _check(chosen, f"{chosen.label} in {norm}")


def small_challenge(norm: str = "linf", eps: float | None = 8 / 255, *, target: Target = None) -> Challenge:
    """Return four pictures of 2 px that a linear model of two classes stands to lose, for examples.

    >>> small_challenge("l2", None).threat.describe()
    'l2, no bound'
    """
    drawn = Random("small challenge", IDS)
    with torch.random.fork_rng(), torch.no_grad():
        linear = nn.Linear(12, 2, bias=False)
        linear.weight.copy_(drawn.normal(12, stream="weight")[:2])
    images = drawn.uniform(3, 2, 2, stream="pictures")
    classifier = Classifier.from_module(nn.Sequential(nn.Flatten(), linear), size=2)
    return Challenge.of(classifier, images, threat=ThreatModel(norm, eps), target=target, ids=list(IDS))


def _check(chosen: ChosenAttack, name: str) -> None:
    classifier, images = small_classifier(), small_pictures()

    def challenge(rows: slice = slice(None), lattice: bool = False) -> Challenge:
        threat = ThreatModel(chosen.threat.norm, chosen.threat.eps, lattice)
        target = "least-likely" if chosen.card.targeted == "always" else None
        return Challenge.of(classifier, images[rows], threat=threat, target=target, ids=list(IDS)[rows])

    def run(rows: slice = slice(None), seed: int = 0, lattice: bool = False) -> Result:
        given = challenge(rows, lattice)
        before = (given.images.clone(), given.labels.clone())
        with global_seed(seed):
            found = chosen.card.run(given, **chosen.options)
        require_same(given.images, before[0], name, "changes the originals that it is given")
        require_same(given.labels, before[1], name, "changes the labels that it is given")
        return found

    _check_claims(chosen, challenge(), name)
    whole = run()
    require_same(whole.images, run(seed=1).images, name, "other pictures when called again: key all draws by the ids")
    for row in range(COUNT):
        alone = run(slice(row, row + 1))
        require_same(whole.success[row : row + 1], alone.success, name, "another success for a picture alone")
        require_same(whole.images[row : row + 1], alone.images, name, "another picture alone", TOLERANCE)
    eight = run(lattice=True)
    inside = challenge(lattice=True).referee.judge(eight.images).inside
    require(bool(inside.all()), name, "pictures that no 8-bit file holds where these are asked for")
    from_everywhere(classifier, name, run)


def _check_claims(chosen: ChosenAttack, challenge: Challenge, name: str) -> None:
    """Look at what the attack returns by itself, before the referee drops what is not allowed."""
    found = chosen.card.function(challenge, **chosen.options)
    images = found if isinstance(found, Tensor) else getattr(found, "images", None)
    shape = list(challenge.images.shape)
    good = isinstance(images, Tensor) and list(images.shape) == shape
    require(good, name, f"returns {type(found).__name__}, expected a Result, or pictures {shape}")
    assert isinstance(images, Tensor)
    with torch.no_grad():
        verdict = challenge.referee.judge(images.detach().to(challenge.images))
    claimed = found.success if isinstance(found, Result) else torch.ones_like(verdict.inside)
    require(bool(verdict.inside[claimed].all()), name, "pictures outside of the ball or the box [0,1]")
    if isinstance(found, Result):
        require(bool(verdict.success[claimed].all()), name, "claims successes that the model does not confirm")
