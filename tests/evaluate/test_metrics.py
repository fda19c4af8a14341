"""Numbers from tables against explicit loops and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from backlight.core.errors import DataError
from backlight.evaluate import metrics
from backlight.evaluate.confusion import Confusion
from backlight.table import Table
from backlight.table.statistics import wilson


def _table(classes: int, count: int, seed: int = 0) -> Table:
    rng = np.random.default_rng(seed)
    logits = rng.integers(0, 4, (count, classes)).astype(np.float32)
    return Table.of(
        id=range(count),
        label=rng.integers(0, classes, count),
        prediction=logits.argmax(1),
        confidence=rng.random(count),
        loss=rng.random(count),
        logits=logits,
    )


def counted(matrix: list[list[int]]) -> Confusion:
    """Count pictures of which there are so many of each true (rows) and predicted class (columns)."""
    pairs = [(i, j) for i, row in enumerate(matrix) for j, count in enumerate(row) for _ in range(count)]
    return Confusion.of([i for i, _ in pairs], [j for _, j in pairs], len(matrix))


@given(st.integers(1, 6), st.integers(1, 40), st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_confusion_and_class_scores_by_explicit_loops(classes: int, count: int, seed: int) -> None:
    table = _table(classes, count, seed)
    counts = metrics.confusion(table, classes)
    for true in range(classes):
        for predicted in range(classes):
            expected = sum(row["label"] == true and row["prediction"] == predicted for row in table.rows())
            assert counts[true, predicted] == expected
    rows = table.rows()
    for k, score in enumerate(metrics.per_class(counts)):
        of_class = [row for row in rows if row["label"] == k]
        taken = [row for row in rows if row["prediction"] == k]
        hits = sum(row["prediction"] == k for row in of_class)
        assert score.n == len(of_class)
        assert score.recall == score.accuracy == (hits / len(of_class) if of_class else None)
        assert score.precision == (hits / len(taken) if taken else None)
        if of_class and taken:
            assert score.f1 == pytest.approx(2 * hits / (len(of_class) + len(taken)))
    assert metrics.accuracy(table) == pytest.approx(counts.right.sum() / count)


def test_f1_equals_scikit_learns_for_classes_that_are_never_predicted_or_never_there() -> None:
    scores = pytest.importorskip("sklearn.metrics")
    true, predicted = [0, 0, 1, 1, 1, 2], [0, 3, 1, 0, 1, 0]
    counts = Confusion.of(true, predicted, classes=5)
    told = [score.f1 for score in metrics.per_class(counts)]
    expected = scores.f1_score(true, predicted, labels=range(4), average=None, zero_division=0)
    assert told[:4] == pytest.approx(expected.tolist())
    assert told[2] == told[3] == 0.0
    assert told[4] is None
    assert metrics.macro_f1(counts) == pytest.approx(scores.f1_score(true, predicted, average="macro", zero_division=0))


def test_balanced_accuracy_leaves_out_empty_classes() -> None:
    counts = counted([[9, 1, 0], [1, 1, 0], [0, 0, 0]])
    assert metrics.balanced_accuracy(counts) == pytest.approx((0.9 + 0.5) / 2)
    assert metrics.per_class(counts)[2].to_json() == dict.fromkeys(["accuracy", "precision", "recall", "f1"]) | {"n": 0}


@pytest.mark.parametrize("top", [1, 2, 5])
def test_top_k_by_sorting_every_row(top: int) -> None:
    table = _table(6, 50)
    expected = np.mean(
        [label in np.argsort(-logits, kind="stable")[:top] for label, logits in zip(table["label"], table["logits"])]
    )
    assert metrics.top_k(table, top) == pytest.approx(expected)


def test_a_logit_that_is_no_number_is_not_right() -> None:
    assert metrics.top_k(Table.of(id=["a"], label=[0], logits=[[float("nan"), 1.0]]), 1) == 0


@given(st.integers(0, 200), st.integers(1, 200), st.sampled_from([0.9, 0.95, 0.99]))
@settings(max_examples=60, deadline=None)
def test_wilson_against_scipy(successes: int, count: int, confidence: float) -> None:
    successes = min(successes, count)
    expected = binomtest(successes, count).proportion_ci(confidence, method="wilson")
    assert wilson(successes, count, confidence) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_of_nothing() -> None:
    for successes, count in ((0, 0), (3, 2), (-1, 2)):
        with pytest.raises(DataError):
            wilson(successes, count)


def test_most_confused_pairs_in_order() -> None:
    counts = counted([[5, 2, 0], [4, 6, 2], [0, 0, 8]])
    pairs = metrics.most_confused(counts, ["a", "b", "c"])
    assert [(one.true, one.predicted, one.count) for one in pairs] == [("b", "a", 4), ("a", "b", 2), ("b", "c", 2)]
    assert pairs[0].fraction == pytest.approx(4 / 12)


def test_top_losses_and_suspects_carry_their_ids() -> None:
    table = Table.of(
        id=["a", "b", "c"], label=[0, 0, 0], prediction=[1, 1, 0], confidence=[0.95, 0.5, 0.99], loss=[3.0, 1.0, 0.01]
    )
    assert metrics.top_losses(table, 2).ids == ["a", "b"]
    assert metrics.suspected_label_errors(table).ids == ["a"]


def test_unlabeled_pictures_are_refused() -> None:
    with pytest.raises(DataError, match="without labels"):
        metrics.accuracy(Table.of(id=["a"], label=[-1], prediction=[0]))
