"""Average precision per label against brute force and published values; what has no answer counts as wrong."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn

from backlight.classifier import Classifier
from backlight.core.errors import DataError, ModelError
from backlight.evaluate import evaluate
from backlight.evaluate.multilabel import average_precision, evaluate_multilabel, score_multilabel
from tests.evaluate.test_undefined import data

LABELS = list("abcde")


def by_hand(scores: list[float], present: list[bool]) -> float:
    """Walk down the thresholds: the precision at each, weighted by the recall that it adds."""
    total, before = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        named = [there for score, there in zip(scores, present) if score >= threshold]
        recall = sum(named) / sum(present)
        total, before = total + (recall - before) * sum(named) / len(named), recall
    return total


def test_equals_brute_force_with_ties_and_the_published_example() -> None:
    draw = np.random.default_rng(0)
    for _ in range(200):
        count = int(draw.integers(1, 12))
        scores, present = draw.integers(0, 5, count) / 4, draw.random(count) < 0.5
        if present.any():
            assert average_precision(scores, present) == pytest.approx(by_hand(scores.tolist(), present.tolist()))
        else:
            assert average_precision(scores, present) is None
    # scikit-learn's documentation of average_precision_score.
    assert average_precision(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1])) == pytest.approx(0.8333333)


def test_the_order_of_pictures_says_nothing() -> None:
    draw = np.random.default_rng(1)
    scores, present = draw.integers(0, 4, 30) / 3, draw.random(30) < 0.4
    expected = average_precision(scores, present)
    for _ in range(5):
        order = draw.permutation(30)
        assert average_precision(scores[order], present[order]) == pytest.approx(expected, abs=1e-12)


def test_pictures_without_an_answer_are_wrong_whatever_their_labels() -> None:
    present = np.array([[1, 0], [0, 1], [1, 1], [0, 0]], dtype=bool)
    right = np.where(present, 0.9, 0.1)
    assert score_multilabel(right, present, ["a", "b"]).to_json()["mean_average_precision"] == 1
    for row in range(4):
        broken = right.copy()
        broken[row] = np.nan
        found = score_multilabel(broken, present, ["a", "b"])
        assert found.not_finite == (row,)
        assert found.all_right == 0.75
        assert found.mean_average_precision < 1
        assert all(one.f1 < 1 for one in found.labels.values())
        json.dumps(found.to_json(), allow_nan=False)


def test_counts_by_hand_and_labels_that_never_occur() -> None:
    present = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0]])
    said = np.array([[0.9, 0.6, 0.1], [0.2, 0.7, 0.2], [0.1, 0.8, 0.7]])
    found = score_multilabel(said, present, ["a", "b", "never"])
    assert (found.labels["a"].precision, found.labels["a"].recall) == (1.0, 0.5)
    assert found.labels["b"].precision == pytest.approx(2 / 3)
    assert found.labels["b"].f1 == pytest.approx(0.8)
    assert found.labels["never"].average_precision is None
    assert found.labels["never"].f1 == 0
    assert found.all_right == 0
    with pytest.raises(DataError, match=r"\[3, 3\], truth \[3, 2\]"):
        score_multilabel(said, present[:, :2], ["a", "b", "c"])


@pytest.mark.parametrize("tail", [(), (nn.Sigmoid(),)])
def test_a_classifier_is_scored_by_its_sigmoids_at_any_chunk(tail: tuple[nn.Module, ...]) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Flatten(), nn.Linear(48, 5), *tail)
        images, present = torch.rand(20, 3, 4, 4), torch.rand(20, 5) < 0.4
    many = Classifier.from_module(net, size=4, labels=LABELS, outputs="multilabel")
    found = evaluate_multilabel(many, images, present, chunk=7)
    with torch.no_grad():
        output = net(images)
    probabilities = (output if tail else output.sigmoid()).numpy()
    for k, name in enumerate(LABELS):
        expected = by_hand(probabilities[:, k].tolist(), present[:, k].tolist())
        assert found.labels[name].average_precision == pytest.approx(expected, abs=1e-9)
        assert found.labels[name].n == int(present[:, k].sum())


def test_one_label_per_picture_is_no_multilabel_question() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(48, 3))
    many = Classifier.from_module(net, size=4, labels=list("abc"), outputs="multilabel")
    with pytest.raises(ModelError, match="a question per label"):
        evaluate(many, data())
    with pytest.raises(ModelError, match="one class per picture"):
        evaluate_multilabel(Classifier.from_module(net, size=4), torch.rand(2, 3, 4, 4), torch.ones(2, 3))
