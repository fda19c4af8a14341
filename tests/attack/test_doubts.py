"""What makes a robustness figure doubtful is said, and what any search found counts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from backlight.attack import Challenge, ThreatModel
from backlight.attack.checks import check_model
from backlight.attack.curve import reach_of
from backlight.attack.evaluation import evaluate_robustness
from backlight.classifier import Classifier
from backlight.pixels import Result
from tests.attack.nets import pictures, sharp_net
from tests.attack.test_evaluation import PGD, classifier_of, data


def challenge(count: int = 20) -> Challenge:
    net = Classifier.from_module(sharp_net(), size=16)
    return Challenge.of(net, pictures(count), threat=ThreatModel("linf", 8 / 255))


@pytest.mark.parametrize(("others", "named"), [(0, False), (1, False), (2, True)])
def test_restarts_that_disagree_on_more_than_a_twentieth_are_named(
    monkeypatch: pytest.MonkeyPatch, others: int, named: bool
) -> None:
    def restart(asked: Challenge, **_: object) -> Result:
        result = Result.blank(asked.images)
        first = asked.seed == (1, 0)
        return replace(result, success=torch.arange(len(result)) < (10 if first else 10 + others))

    monkeypatch.setattr("backlight.attack.checks.apgd", restart)
    assert ("restarts disagree" in {doubt.name for doubt in check_model(challenge())}) is named


def test_what_the_attacks_at_each_size_found_counts_beside_the_nearest_search(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def finds_nothing(asked: Challenge, **_: object) -> Result:
        return Result.blank(asked.images)

    monkeypatch.setattr("backlight.attack.curve.fmn", finds_nothing)
    found = reach_of(challenge(), [0.001, 8 / 255])
    assert found.broken[1].sum() > found.broken[0].sum()
    assert (found.distance.isfinite() == found.broken[1]).all()
    assert (found.distance[found.broken[1]] <= 8 / 255).all()


def test_a_run_begins_with_what_the_largest_smaller_eps_found(tmp_path: Path) -> None:
    for eps in ("0.5/255", "2/255"):
        evaluate_robustness(classifier_of(), data(), replace(PGD, eps=eps), cache=tmp_path / "both")
    evaluate_robustness(classifier_of(), data(), replace(PGD, eps="2/255"), cache=tmp_path / "one")
    both, one = (
        evaluate_robustness(classifier_of(), data(), replace(PGD, eps="3/255"), cache=tmp_path / name)
        for name in ("both", "one")
    )
    assert both.table["forwards"].tolist() == one.table["forwards"].tolist()
