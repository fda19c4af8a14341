"""Attacks in rounds over a data set: as one block through all stages, in blocks that the stage's passes allow."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
import torch

from backlight.attack import Challenge, block_sweeps
from backlight.attack import request as requests
from backlight.attack.auto import apgd, fab_t, square
from backlight.attack.blocks import attack_block
from backlight.attack.evaluation import evaluate_robustness
from backlight.attack.request import RobustnessRequest
from backlight.attack.stages import Stage
from backlight.classifier import Classifier
from backlight.data.dataset import Dataset
from backlight.sweep import cost
from tests.attack.nets import pictures, sharp_net

PLAN = (
    Stage("apgd-ce", partial(apgd, steps=3)),
    Stage("fab-t", partial(fab_t, steps=3, targets=2)),
    Stage("square", partial(square, steps=40)),
)
NAMES = [str(number) for number in range(5)]
REQUEST = RobustnessRequest("autoattack", eps="1.5/255", checks=False)


@pytest.fixture(autouse=True)
def short_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "PLANS", {"autoattack": PLAN})
    monkeypatch.setattr(block_sweeps, "PLANS", {"autoattack": PLAN})


def classifier_of() -> Classifier:
    return Classifier.from_module(sharp_net(), size=16, labels=NAMES)


def data(count: int = 30) -> Dataset:
    images = (pictures(count) * 255).round().to(torch.uint8)
    labels = classifier_of().logits(images.float() / 255).argmax(1)
    labels[::5] = (labels[::5] + 1) % 5
    return Dataset.of(images, labels, NAMES)


def test_rounds_find_what_one_block_through_all_stages_finds() -> None:
    classifier, whole = classifier_of(), data()
    batch = whole[:]
    challenge = Challenge.of(classifier, batch.images, batch.labels, threat=REQUEST.threat, ids=batch.ids)
    expected = attack_block(challenge.searching(classifier.fast()), batch.ids, PLAN, {}).table
    found = evaluate_robustness(classifier, whole, REQUEST, block=7).table
    assert found.ids == expected.ids
    assert len(set(found["broken_by"].tolist())) > 2  # more than one stage has something to do
    exact = ["label", "prediction", "robust", "broken_by", "attacked_prediction", "forwards", "backwards", "steps"]
    for name in exact:
        assert found[name].tolist() == expected[name].tolist(), name
    for name in ("margin", "distance", "clean_margin"):
        assert found[name] == pytest.approx(expected[name], abs=1e-4), name


def test_later_stages_see_survivors_only_in_smaller_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "SECONDS", 0.05)
    monkeypatch.setattr(cost, "_FEWEST_VALUES", 1)
    found = evaluate_robustness(classifier_of(), data(), REQUEST, cache=tmp_path)
    names = found.table["broken_by"].tolist()
    plans = [json.loads(path.read_text()) for path in tmp_path.glob("*-plan-*.json")]
    by_stage = {plan["task"].partition(": ")[2].partition(" on ")[0]: plan for plan in plans}
    assert set(by_stage) == {stage.name for stage in PLAN}
    left = 30 - names.count("clean") - names.count("apgd-ce")
    assert by_stage["apgd-ce"]["pictures"] == 30
    assert by_stage["fab-t"]["pictures"] == left
    assert by_stage["square"]["pictures"] == left - names.count("fab-t")
    assert by_stage["square"]["size"] < by_stage["apgd-ce"]["size"]  # 80 passes a picture against 6


def test_under_a_budget_every_picture_that_counts_went_through_all_stages(monkeypatch) -> None:
    monkeypatch.setattr("backlight.attack.request.FAST", tuple(PLAN))
    request = RobustnessRequest("autoattack", eps="1.5/255", checks=False, budget=1e-6)
    found = evaluate_robustness(classifier_of(), data(), request, block=10)
    whole = evaluate_robustness(classifier_of(), data(), REQUEST, block=10)
    assert len(found.table) == 10
    assert found.unfinished == int(found.table["robust"].sum())
    kept = whole.table.at(found.table.ids)
    assert found.table["broken_by"].tolist() == kept["broken_by"].tolist()


def test_resumed_rounds_are_bitwise_the_same(tmp_path: Path) -> None:
    first = evaluate_robustness(classifier_of(), data(), REQUEST, cache=tmp_path, block=7)
    for path in sorted(tmp_path.glob("*.parquet"))[::2]:  # as if it had been killed here and there
        path.unlink()
    again = evaluate_robustness(classifier_of(), data(), REQUEST, cache=tmp_path, block=7)
    assert again.table.rows() == first.table.rows()
    assert first.pictures is not None
    assert again.pictures is not None
    assert torch.equal(again.pictures.images, first.pictures.images)
