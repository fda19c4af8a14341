"""Signs that a robust accuracy is not what it seems, in words, each with its remedy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from backlight.attack.auto import apgd
from backlight.attack.challenge import Challenge
from backlight.attack.gradient import pgd
from backlight.attack.referee import judge_logits
from backlight.attack.threat import ThreatModel
from backlight.classifier.heads import well_defined
from backlight.pixels import Result
from backlight.table import Table

_EVERYTHING = {"linf": 1.0, "l2": 100.0, "l1": 10_000.0}
"""A size at which any image can become any other (l2 and l1 for 32 px; larger images need less of it)."""

_SMALL_SHIFT = 0.02 / 255
_DISAGREE = 0.05
_UNBOUNDED_STEPS, _RESTART_STEPS = 40, 20


CURVE, CHECKS = "curve", "checks"
BESIDE = {CURVE: "the search for the smallest changes", CHECKS: "restarts of apgd-ce"}
"""In the column `broken_by`: what withstood the attack and was fooled within eps by a search beside it."""


@dataclass(frozen=True)
class Doubt:
    """One finding: its name, what was seen, and what to do about it."""

    name: str
    found: str
    remedy: str

    def to_json(self) -> dict[str, str]:
        """Return the fields as a dictionary."""
        return dict(vars(self))


def judge_table(table: Table, audit: tuple[int, int, int] | None = None, bound: int = 0) -> tuple[Doubt, ...]:
    """Read an evaluation's table for signs of masked gradients and of numbers that are not settled.

    >>> judge_table(Table.of(id=["a"], robust=[True], zero_grads=[3], broken_by=[""], undecided=[False]))[0].name
    'zero gradients'
    """
    found = []
    robust = table["robust"].astype(bool)
    zero = int(((table["zero_grads"] > 0) & robust).sum())
    if zero:
        words = f"{zero} of {int(robust.sum())} surviving images had gradients that were zero all over or NaN"
        remedy = "attack by margin or dlr instead of cross-entropy, and by square; look for saturation or rounding"
        found.append(Doubt("zero gradients", words, remedy))
    by_square = int(np.isin(table["broken_by"].astype(str), ("square", "square-check")).sum())
    if by_square:
        words = f"square, which sees no gradients, broke {by_square} images that the gradient attacks did not"
        remedy = "gradients are masked: attack a smooth stand-in of what is not differentiable, and take more steps"
        found.append(Doubt("square beats gradients", words, remedy))
    undecided = int(table["undecided"].sum())
    if undecided:
        words = f"{undecided} images have a margin below 1e-4 and may count otherwise on another machine"
        found.append(Doubt("undecided", words, "report the accuracy with this many images of doubt"))
    for name, search in BESIDE.items():
        missed = int((table["broken_by"] == name).sum())
        if missed:
            words = f"{search} fooled {missed} of {missed + int(robust.sum())} survivors within the same eps"
            remedy = "they count as broken; more steps, or autoattack, which tries several kinds of attack"
            found.append(Doubt("attack too weak", words, remedy))
    if audit is not None:
        survivors, tested, broken = audit
        share = 100 * bound / max(len(table), 1)
        words = (
            f"fab-t and square ran on {tested} random ones of {survivors} survivors and broke {broken}; with 95% "
            f"confidence they would lower robust accuracy by at most {share:.2f} points more"
        )
        found.append(Doubt("audited", words, "mode exact runs them on all"))
    return tuple(found)


def check_model(challenge: Challenge, watch: Callable[[Result], None] = lambda result: None) -> tuple[Doubt, ...]:
    """Look for a randomized or quantized model, an unbounded attack that fails, and restarts that disagree.

    Costs about 100 forwards and backwards per image: give it some 50 images. `watch` is told what the restarts found.

    >>> from torch import nn
    >>> from backlight import Classifier
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    >>> check_model(Challenge.of(Classifier.from_module(net, size=2), torch.rand(4, 3, 2, 2)))
    ()
    """
    checks = (_randomized(challenge), _quantized(challenge), _unbounded(challenge), _restarts(challenge, watch))
    return tuple(one for one in checks if one is not None)


def _randomized(challenge: Challenge) -> Doubt | None:
    again = judge_logits(challenge.classifier, challenge.images)
    same = (again == challenge.clean) | (again.isnan() & challenge.clean.isnan())
    if bool(same.all()):
        return None
    change = float((again - challenge.clean)[~same].abs().max())
    words = f"two looks at the same images differ by up to {change:.2g} in the logits"
    return Doubt("randomized model", words, "autoattack-rand, which averages gradients over 20 looks")


def _quantized(challenge: Challenge) -> Doubt | None:
    shifted = challenge.images + torch.where(challenge.images > 0.5, -_SMALL_SHIFT, _SMALL_SHIFT)
    same = (judge_logits(challenge.classifier, shifted) == challenge.clean).all(1)
    same = same[well_defined(challenge.clean)]
    if not len(same) or float(same.double().mean()) < 0.5:
        return None
    words = f"a change of 0.02/255 leaves the logits of {int(same.sum())} of {len(same)} images exactly as they were"
    remedy = "the model rounds its input: attack on the 8-bit lattice, and pass gradients straight through the rounding"
    return Doubt("quantized model", words, remedy)


def _unbounded(challenge: Challenge) -> Doubt | None:
    # Any number of values may take any color: that is the whole box of linf. What is no norm at all has none.
    norm = challenge.threat.norm if challenge.threat.norm in _EVERYTHING else "linf"
    threat = ThreatModel(norm, _EVERYTHING[norm])
    result = pgd(replace(challenge, threat=threat), steps=_UNBOUNDED_STEPS)
    left = int((~result.success).sum())
    if not left:
        return None
    words = f"with room for any image at all, pgd leaves {left} of {len(result)} images unbroken"
    remedy = "the gradients do not lead anywhere: do not trust the robust accuracy; use square and other objectives"
    return Doubt("unbounded attack fails", words, remedy)


def _restarts(challenge: Challenge, watch: Callable[[Result], None]) -> Doubt | None:
    if challenge.threat.eps is None or challenge.threat.norm not in ("linf", "l2"):
        return None
    one, other = (apgd(replace(challenge, seed=(seed, challenge.seed)), steps=_RESTART_STEPS) for seed in (1, 2))
    watch(one.merge(other))
    differ = int((one.success != other.success).sum())
    if differ <= _DISAGREE * len(one):
        return None
    words = f"two restarts of apgd-ce disagree on {differ} of {len(one)} images"
    return Doubt("restarts disagree", words, "more restarts or more steps: one run does not settle these images")


def not_monotone(raw: Sequence[float], eps: Sequence[float]) -> Doubt | None:
    """Report accuracies, one per increasing eps, that rise somewhere: more room must never help the defender.

    >>> not_monotone([0.9, 0.5, 0.6], [0.0, 0.1, 0.2]).name
    'raw curve not monotone'
    """
    rises = np.flatnonzero(np.diff(np.asarray(raw)) > 0)
    if not len(rises):
        return None
    first = int(rises[0])
    words = (
        f"accuracy rises from {raw[first]:.2%} at eps {eps[first]:.4g} to {raw[first + 1]:.2%} at {eps[first + 1]:.4g}"
    )
    return Doubt("raw curve not monotone", words, "gradients are masked: use more steps, square, other objectives")
