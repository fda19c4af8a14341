"""Accuracy against baselines, by class and by confusion: closed forms and planted faults."""

from __future__ import annotations

import numpy as np
import pytest

from backlight.audit import Examined, Finding, Kept, run_checks
from backlight.audit.accuracy import CARDS as WHOLE
from backlight.audit.by_class import CARDS as BY_CLASS
from backlight.evaluate.metrics import accuracy, top_k
from backlight.table import Table
from backlight.table.statistics import wilson

NAMES = [f"class {number}" for number in range(10)]


def kept_of(labels: np.ndarray, predictions: np.ndarray, features: np.ndarray | None = None) -> Kept:
    logits = np.random.default_rng(0).normal(size=(len(labels), 10)) * 0.1
    logits[np.arange(len(labels)), predictions] += 5
    return Kept.of(logits, labels=labels, label_names=NAMES, features=features)


def findings(kept: Kept, train: Kept | None = None) -> dict[str, Finding]:
    return {one.name: one for one in run_checks(Examined.of(kept, train=train), (*WHOLE, *BY_CLASS)).findings}


def test_numbers_are_those_of_an_evaluation() -> None:
    random = np.random.default_rng(1)
    labels, predictions = random.integers(0, 10, (2, 300))
    kept = kept_of(labels, predictions)
    found = findings(kept)
    table = Table.of(id=kept.ids, label=kept.labels, prediction=kept.predictions, logits=kept.logits)
    assert found["accuracy"].value == accuracy(table)
    assert found["accuracy"].interval == wilson(int((labels == predictions).sum()), 300)
    assert found["top5"].value == top_k(table, 5)


def test_no_better_than_the_commonest_class_is_no_good_accuracy() -> None:
    labels = np.array([0] * 80 + [1] * 20)
    always = findings(kept_of(labels, np.zeros(100, int)))["accuracy"]
    worse = findings(kept_of(labels, np.array([0] * 40 + [2] * 40 + [1] * 20)))["accuracy"]
    better = findings(kept_of(labels, labels))["accuracy"]
    assert (always.judgement, worse.judgement, better.judgement) == ("look", "bad", "good")
    assert "class 0 would be right in 80" in always.sentence
    assert findings(kept_of(labels[:20], labels[:20]))["accuracy"].judgement == "not judged"


def test_a_model_without_numbers_is_told() -> None:
    logits = np.zeros((50, 10), np.float32)
    logits[7] = np.nan
    found = findings(Kept.of(logits, labels=[0] * 50, label_names=NAMES))
    assert (found["no_prediction"].judgement, [one.id for one in found["no_prediction"].pictures]) == ("bad", ["7"])
    assert found["accuracy"].value == 0.98


@pytest.mark.parametrize("learned", ["here", "train"])
def test_a_head_that_wastes_its_features_loses_to_a_probe(learned: str) -> None:
    random = np.random.default_rng(2)
    labels = np.arange(400) % 10
    features = 4 * np.eye(10, 16)[labels] + random.normal(size=(400, 16))
    wrong = np.where(np.arange(400) % 4 == 0, (labels + 1) % 10, labels)
    train = kept_of(labels, labels, features)
    kept = kept_of(labels, wrong, features)
    found = findings(kept, train if learned == "train" else None)["gain_over_baseline"]
    assert found.judgement == "bad"
    assert found.value == pytest.approx(-0.25, abs=0.05)
    shares = dict(
        zip(
            found.tables["Accuracy of simple answers"]["answer"], found.tables["Accuracy of simple answers"]["accuracy"]
        )
    )
    assert shares["the commonest class"] == 0.1
    assert shares["a linear probe"] > 0.95
    assert shares["the classifier"] == 0.75
    assert "--freeze -1" in found.next
    assert findings(kept_of(labels, labels, features))["gain_over_baseline"].judgement == "good"


def test_one_picture_of_each_class_has_no_probe() -> None:
    kept = kept_of(np.arange(10), np.arange(10), np.eye(10))
    answers = findings(kept)["gain_over_baseline"].tables["Accuracy of simple answers"]["answer"]
    assert answers == ["the commonest class", "the nearest neighbor", "the classifier"]


def test_a_weak_class_is_named_and_chance_is_not() -> None:
    random = np.random.default_rng(3)
    labels = np.arange(1000) % 10
    even = np.where(random.random(1000) < 0.1, (labels + 1 + random.integers(0, 9, 1000)) % 10, labels)
    assert findings(kept_of(labels, even))["worst_class"].judgement == "good"
    weak = np.where((labels == 3) & (random.random(1000) < 0.7), 5, even)
    found = findings(kept_of(labels, weak))
    assert found["worst_class"].judgement == "bad"
    assert found["worst_class"].sentence.startswith("class 3 is right least often")
    assert {labels[int(one.id)] for one in found["worst_class"].pictures} == {3}
    assert found["most_confused"].judgement == "bad"
    assert found["most_confused"].sentence.startswith("class 3 is taken for class 5 most often")
    assert all(weak[int(one.id)] == 5 for one in found["most_confused"].pictures if one.group == 0)


@pytest.mark.parametrize(("wrong", "total", "judgement"), [(2, 2, "not judged"), (3, 3, "look"), (30, 40, "bad")])
def test_two_pictures_of_a_class_prove_no_confusion(wrong: int, total: int, judgement: str) -> None:
    labels = np.array([0] * 100 + [1] * 100 + [2] * 100 + [3] * total)
    predictions = labels.copy()
    predictions[300 : 300 + wrong] = 4
    found = findings(kept_of(labels, predictions))["most_confused"]
    assert (found.value, found.judgement) == (wrong / total, judgement)
    assert bool(found.next) == (found.gain > 0) == (judgement != "not judged")


def test_a_rare_class_is_not_called_weak() -> None:
    labels = np.array([0] * 100 + [1] * 100 + [2])
    predictions = labels.copy()
    predictions[-1], predictions[:30] = 0, 1
    found = findings(kept_of(labels, predictions))["worst_class"]
    assert found.sentence.startswith("class 0 is right least often")
