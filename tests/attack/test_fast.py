"""The stand-in for AutoAttack: its parts by their formulas, its label everywhere, and that it misses little."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from torch import nn

from backlight.attack import Challenge, RobustnessRequest, ThreatModel, attack, evaluate_robustness, fast
from backlight.attack.auto import apgd
from backlight.attack.fast import apgd_by_linearity, nearest_planes, pma, probability_margin, square_check
from backlight.attack.rules.cosine import Halves
from backlight.attack.stages import FAST, STANDARD, Stage, autoattack
from backlight.classifier import Classifier
from backlight.core.random import Random
from backlight.data.dataset import Dataset
from backlight.pixels import Observation
from backlight.report.robust_words import mode_words
from tests.attack.nets import fixed_images, fixed_net
from tests.attack.test_linear import Linear


def challenge_of(count: int = 4, eps: float = 0.1, norm: str = "linf", target=None) -> Challenge:
    classifier = Classifier.from_module(fixed_net(), size=4)
    return Challenge.of(classifier, fixed_images(count), threat=ThreatModel(norm, eps), target=target)


@pytest.mark.parametrize("targeted", [False, True])
def test_the_margin_of_probabilities_by_its_formula(targeted: bool) -> None:
    challenge = challenge_of(target="least-likely" if targeted else None)
    probabilities = challenge.classifier.logits(challenge.images).softmax(1)
    meant = challenge.targets if targeted else challenge.labels
    own = probabilities.gather(1, meant[:, None])[:, 0]
    other = probabilities.scatter(1, meant[:, None], -1).amax(1)
    sign = -1 if targeted else 1

    def value(alone: str, turns: int) -> torch.Tensor:
        measure = probability_margin(challenge, alone=alone, turns=turns)
        return measure.evaluate(challenge.classifier, challenge.images)

    assert torch.allclose(value("label", 0), sign * (other - own))
    assert torch.allclose(value("label", 1), -sign * own)
    assert torch.allclose(value("other", 1), sign * other)


def test_steps_shrink_along_a_cosine_in_each_half() -> None:
    rule = Halves("linf", 0.5)
    for t in range(100):
        assert rule.at(t, 100) == pytest.approx(0.25 * (1 + math.cos(math.pi * (t % 50) / 50)))
    point, gradient = torch.zeros(1, 3), torch.tensor([[0.2, -3.0, 0.0]])
    seen = Observation(25, 100, point, torch.zeros(1), gradient, torch.zeros(1) > 0, Random(0, [0]), lambda one: one)
    assert torch.allclose(rule.step({}, seen).params, torch.tensor([[0.25, -0.25, 0.0]]))
    assert torch.allclose(Halves("l2", 0.5).step({}, seen).params, 0.25 * gradient / gradient.norm())


@pytest.mark.parametrize(("norm", "dual"), [("linf", 1), ("l2", 2)])
def test_targets_are_ordered_by_margin_over_slope(norm: str, dual: int) -> None:
    linear = Linear(6, count=12)
    challenge = linear.challenge(norm, 0.1)
    found, backwards = nearest_planes(challenge, torch.ones(12, dtype=torch.bool))
    flat = linear.images.flatten(1)
    logits = flat @ linear.weight.T + linear.bias
    assert backwards == 5
    for row in range(12):
        label = int(linear.labels[row])
        far = {}
        for rival in set(range(6)) - {label}:
            slope = (linear.weight[label] - linear.weight[rival]).norm(p=dual)
            far[rival] = float((logits[row, label] - logits[row, rival]) / slope)
        assert found[row].tolist() == sorted(far, key=far.__getitem__)


def test_only_rows_that_are_left_are_ordered_and_each_by_itself() -> None:
    challenge = Linear(6, count=12).challenge("linf", 0.1)
    whole, _ = nearest_planes(challenge, torch.ones(12, dtype=torch.bool))
    rows = torch.arange(12) % 3 == 0
    part, _ = nearest_planes(challenge, rows)
    assert torch.equal(part[rows], whole[rows])
    assert torch.equal(part[~rows], challenge.rivals(5)[~rows])


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_on_linear_models_the_stand_in_is_exact(norm: str) -> None:
    linear = Linear(5)
    distances = linear.distances(norm)
    eps = float(distances.quantile(0.5))
    clear = (distances / eps - 1).abs() > 0.02
    plan = [Stage(one.name, partial(one.function, steps=40)) for one in FAST[:2]]
    result = autoattack(linear.challenge(norm, eps), plan=plan)
    assert torch.equal(result.success[clear], (distances < eps)[clear])


class Rounded(nn.Module):
    """A net that no gradient passes: it rounds what it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.net = fixed_net()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.net((images * 10).round() / 10 + 0 * images)


def test_squares_are_many_where_a_gradient_is_zero_and_few_elsewhere(monkeypatch) -> None:
    assert (fast._BLIND, fast._SEEING) == (1000, 150)
    monkeypatch.setattr(fast, "_BLIND", 60)
    monkeypatch.setattr(fast, "_SEEING", 9)
    images = fixed_images(4)
    blind = Challenge.of(Classifier.from_module(Rounded(), size=4), images, threat=ThreatModel("linf", 1e-6))
    seeing = challenge_of(eps=1e-9)
    assert square_check(blind).forwards.tolist() == [62] * 4
    assert square_check(seeing).forwards.tolist() == [11] * 4


@pytest.mark.slow
def test_a_picture_that_withstands_all_of_it_costs_a_quarter_of_autoattack() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 10))
    with torch.no_grad():
        net[1].weight.mul_(1e-3)
        net[1].bias.copy_(torch.arange(10.0))
    classifier, threat = Classifier.from_module(net, size=2), ThreatModel("linf", 0.01)
    result = autoattack(Challenge.of(classifier, torch.rand(1, 3, 2, 2), threat=threat), plan=FAST)
    assert not result.success.any()
    assert (result.forwards.tolist(), result.backwards.tolist()) == ([1264], [1110])
    assert 1264 + 1110 <= (7811 + 1900) / 4


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("function", [partial(pma, steps=10), partial(apgd_by_linearity, steps=8), square_check])
def test_no_picture_depends_on_its_batch_mates(function, norm: str) -> None:
    classifier, images = Classifier.from_module(fixed_net(), size=4), fixed_images(5)
    ids = [f"picture {row}" for row in range(5)]

    def run(rows: list[int]):
        threat = ThreatModel(norm, 0.01 if norm == "linf" else 0.05)
        challenge = Challenge.of(classifier, images[rows], threat=threat, ids=[ids[row] for row in rows])
        found = function(challenge)
        return found.images, found.success, found.forwards

    whole = run([0, 1, 2, 3, 4])
    for rows in ([4, 2, 0], [3], [1, 3, 4, 2]):
        pictures, success, forwards = run(rows)
        assert torch.equal(success, whole[1][rows])
        assert torch.equal(forwards, whole[2][rows])
        assert torch.allclose(pictures, whole[0][rows], atol=1e-9)


def data_and_net() -> tuple[Classifier, Dataset]:
    classifier = Classifier.from_module(fixed_net().float(), size=4, labels=list("abcde"))
    images = (fixed_images(6).float() * 255).round()
    labels = classifier.logits(images / 255).argmax(1).tolist()
    return classifier, Dataset.of(images.to(torch.uint8), labels, list("abcde"))


def test_it_says_everywhere_that_it_stands_in() -> None:
    classifier, data = data_and_net()
    found = evaluate_robustness(classifier, data, RobustnessRequest("autoattack-fast", eps="8/255", checks=False))
    assert found.to_json()["stands_in_for"] == "autoattack"
    assert set(found.table["stands_in_for"].tolist()) == {"autoattack"}
    assert mode_words(found)[0] == "These numbers stand in for those of autoattack; run autoattack for papers."
    one = attack(classifier, fixed_images(2).float(), method="autoattack-fast", eps="8/255")
    assert one.stands_in_for == "autoattack"
    assert "autoattack-fast for autoattack" in repr(one)
    other = evaluate_robustness(classifier, data, RobustnessRequest("fgsm", checks=False))
    assert other.to_json()["stands_in_for"] is None
    assert set(other.table["stands_in_for"].tolist()) == {""}


def test_a_budget_runs_the_stand_in_on_all_and_the_published_suite_on_what_is_left(monkeypatch) -> None:
    assert RobustnessRequest(budget=60).rounds == [FAST, STANDARD]
    assert RobustnessRequest().rounds == [(stage,) for stage in STANDARD]
    quick = (Stage("pma", partial(pma, steps=4, restarts=1)),), (Stage("apgd-ce", partial(apgd, steps=4)),)
    for name, plan in zip(("FAST", "STANDARD"), quick):
        monkeypatch.setattr(f"backlight.attack.request.{name}", plan)
    classifier, data = data_and_net()

    def within(seconds: float):
        return evaluate_robustness(classifier, data, RobustnessRequest(eps="0.01/255", budget=seconds, checks=False))

    whole, short = within(1e6), within(1e-9)
    standing = int(short.table["robust"].sum())
    assert standing > 0
    assert list(whole.by_attack) == ["pma", "apgd-ce"]
    assert (whole.unfinished, whole.to_json()["stands_in_for"]) == (0, None)
    assert (short.unfinished, short.to_json()["stands_in_for"]) == (standing, "autoattack")
    assert f"On {standing} survivors only the stand-in ran." in mode_words(short)[0]
    assert whole.table["backwards"].sum() > short.table["backwards"].sum()
