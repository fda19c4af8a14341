"""Attacks and objectives by name, with options, as functions, as cards and out of files; what foreign ones claim."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from backlight.attack import (
    ATTACKS,
    AttackCard,
    Challenge,
    RobustnessRequest,
    ThreatModel,
    attack,
    choose_attack,
    evaluate_robustness,
)
from backlight.attack.gradient import pgd
from backlight.classifier import Classifier
from backlight.core.errors import InputError, UsageError
from backlight.data import Dataset
from backlight.pixels import margin

EPS = 0.1


def setting(classes: int = 3, count: int = 8) -> tuple[Classifier, Tensor]:
    generator = torch.Generator().manual_seed(3)
    net = nn.Sequential(nn.Flatten(), nn.Linear(48, classes))
    for parameter in net.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator)
    return Classifier.from_module(net, size=4), torch.rand(count, 3, 4, 4, generator=generator) * 0.6 + 0.2


def test_an_option_means_the_same_wherever_it_is_written() -> None:
    classifier, x = setting()
    beside = attack(classifier, x, norm="l2", eps="1/4", steps=3, step_size="1/8", restarts=2, seed=5)
    for spec in ("pgd:norm=l2,eps=1/4,steps=3,step_size=1/8,restarts=2", "pgd:restarts=2,norm=l2"):
        given = {} if "eps" in spec else {"eps": 0.25, "steps": 3, "step_size": 0.125}
        found = attack(classifier, x, method=spec, seed=5, **given)
        assert torch.equal(found.images, beside.images)
        assert found.method == spec


def test_restarts_and_momentum_reach_the_attack() -> None:
    classifier, x = setting()
    challenge = Challenge.of(classifier, x, threat=ThreatModel("linf", EPS))
    wanted = pgd(challenge, steps=4, restarts=3, momentum=0.5)
    found = attack(classifier, x, method="pgd:steps=4,restarts=3,momentum=1/2", eps=EPS)
    assert torch.equal(found.images, wanted.images)
    assert not torch.equal(found.images, attack(classifier, x, method="pgd:steps=4", eps=EPS).images)


@pytest.mark.parametrize("name", ["targeted-l2", "targeted_l2", " apgd_ce", "autoattack_plus"])
def test_hyphen_and_underscore_are_one(name: str) -> None:
    assert choose_attack(name).card is ATTACKS[name.strip().replace("_", "-")]


@pytest.mark.parametrize(
    ("spec", "given", "words"),
    [
        ("pgd:colour=red", {}, "no option 'colour'; expected steps, step_size, objective, restarts, momentum"),
        ("fgsm", {"steps": 4}, "no option 'steps'; expected objective"),
        ("pgd:steps=2.5", {}, "a whole number"),
        ("pgd:restarts=0", {}, "1 or more"),
        ("pgd:steps=3", {"steps": 4}, "given twice"),
        ("pgd:eps=8", {}, "8/255"),
        ("pgd:norm=l3", {}, "linf or l2 or l1"),
        ("apgd-ce:objective=dlr", {}, "no option 'objective'"),
        ("apgd-ce:transforms=repeat", {}, "only Python"),
        ("pgd:objective=hinge", {}, "objective"),
        ("autoattack:plan=short", {}, "no option 'plan'"),
        ("pgdd", {}, "pgd"),
    ],
)
def test_what_is_not_understood_is_told_with_what_is(spec: str, given: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        choose_attack(spec, **given)


def test_a_target_may_stand_in_the_specification() -> None:
    assert choose_attack("pgd:target=none").target is None
    classifier, x = setting()
    wanted = attack(classifier, x, target="least-likely", eps=EPS)
    assert torch.equal(attack(classifier, x, method="pgd:target=least-likely", eps=EPS).images, wanted.images)
    assert RobustnessRequest("pgd:target=random").chosen.target == "random"


def entropy(logits: Tensor, classes: Tensor) -> Tensor:
    return F.cross_entropy(logits, classes, reduction="none")


@pytest.mark.parametrize("target", [None, "least-likely"])
def test_an_objective_may_be_a_function_of_logits_and_classes(target: str | None, tmp_path: Path) -> None:
    classifier, x = setting()
    (tmp_path / "mine.py").write_text("from tests.attack.test_choosing import entropy\n")
    wanted = attack(classifier, x, objective="cross-entropy", target=target, eps=EPS, steps=5)
    for objective in (entropy, f"{tmp_path}/mine.py:entropy"):
        assert torch.equal(
            attack(classifier, x, objective=objective, target=target, eps=EPS, steps=5).images, wanted.images
        )
    spec = f"pgd:objective={tmp_path}/mine.py:entropy,steps=5"
    assert torch.equal(attack(classifier, x, method=spec, target=target, eps=EPS).images, wanted.images)


def test_an_objective_may_be_a_measure_which_is_climbed_as_it_is() -> None:
    classifier, x = setting()
    labels = classifier.logits(x).argmax(1)
    wanted = attack(classifier, x, objective="margin", eps=EPS, steps=5)
    assert torch.equal(attack(classifier, x, objective=-margin(labels), eps=EPS, steps=5).images, wanted.images)


def corner(challenge: Challenge, *, size: float = 1.0) -> Tensor:
    """Go to the corner of the ball that the sign of a linear model's gradient names."""
    x = challenge.images.clone().requires_grad_(True)
    with torch.enable_grad():
        logits = challenge.search.module(x)
        (gradient,) = torch.autograd.grad(entropy(logits, challenge.labels).sum(), x)
    return (challenge.images + size * challenge.threat.size * gradient.sign()).clamp(0, 1)


def test_a_function_is_an_attack(tmp_path: Path) -> None:
    classifier, x = setting()
    (tmp_path / "mine.py").write_text("from tests.attack.test_choosing import corner\n")
    wanted = attack(classifier, x, method="fgsm", eps=EPS)
    for method in (corner, AttackCard("corner", corner, ("linf",)), f"{tmp_path}/mine.py:corner:size=1.0"):
        found = attack(classifier, x, method=method, eps=EPS)
        assert torch.equal(found.success, wanted.success)
        assert found.success.any()
        assert found.method.startswith("corner")
    outside = attack(classifier, x, method=corner, eps=EPS, size=2.0)
    assert not outside.success.any(), "pictures outside the ball count for nothing"
    assert torch.equal(outside.images, x), "and are not kept"
    with pytest.raises(UsageError, match="expected size"):
        attack(classifier, x, method=corner, width=1)


def test_a_foreign_attack_that_lies_is_judged_in_evaluations_too() -> None:
    classifier, x = setting()
    data = Dataset.of((x * 255).round().to(torch.uint8), classifier.logits(x).argmax(1), ["a", "b", "c"])
    classifier = classifier.replace(labels=("a", "b", "c"))

    def liar(challenge: Challenge) -> Any:
        return challenge.begin().__class__(
            **{**vars(challenge.begin()), "success": torch.ones(len(x), dtype=torch.bool)}
        )

    found = evaluate_robustness(classifier, data, RobustnessRequest(liar, checks=False))
    assert found.robust_accuracy == found.clean_accuracy
    honest = evaluate_robustness(classifier, data, RobustnessRequest(corner, eps=EPS, checks=False))
    known = evaluate_robustness(classifier, data, RobustnessRequest("fgsm", eps=EPS, checks=False))
    assert honest.robust_accuracy == known.robust_accuracy < 1
    assert honest.by_attack == {"corner": honest.robust_accuracy}


def test_an_attack_that_returns_something_else_is_told() -> None:
    classifier, x = setting()
    with pytest.raises(InputError, match="returned"):
        attack(classifier, x, method=lambda challenge: challenge.images[:2])
    with pytest.raises(InputError, match="returned NoneType"):
        attack(classifier, x, method=lambda challenge: None)
