"""Shift from arrays: planted shifts are seen, two halves of one set are not, and brute force agrees."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backlight.audit.domain import tell_apart
from backlight.audit.estimated_accuracy import estimate_accuracy
from backlight.audit.label_shift import compare_shares, estimate_label_shift
from backlight.audit.shift import compare_columns, measure_discrepancy
from backlight.core.errors import InputError


def predictions_of(labels: np.ndarray, classes: int, accuracy: float, seed: int) -> np.ndarray:
    draw = np.random.default_rng(seed)
    wrong = (labels + draw.integers(1, classes, len(labels))) % classes
    return np.where(draw.random(len(labels)) < accuracy, labels, wrong)


def test_discrepancy_is_that_of_the_definition() -> None:
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randn(30, 3, generator=draw).double(), 1 + torch.randn(20, 3, generator=draw).double()
    pooled = torch.cat([x, y])
    squares = torch.cdist(pooled, pooled).square()
    kernel = (-squares / squares[squares > 0].median()).exp()
    expected = kernel[:30, :30].mean() + kernel[30:, 30:].mean() - 2 * kernel[:30, 30:].mean()
    found = measure_discrepancy(x, y, permutations=199)
    assert found.value == pytest.approx(float(expected), rel=1e-4)
    assert found.p_value == pytest.approx(1 / 200)
    assert found.n == 50


def test_discrepancy_of_equal_sets_is_uniform_under_permutation() -> None:
    p_values = []
    for seed in range(40):
        draw = torch.Generator().manual_seed(seed)
        x, y = torch.randn(40, 4, generator=draw), torch.randn(40, 4, generator=draw)
        p_values.append(measure_discrepancy(x, y, permutations=99, seed=seed).p_value)
    assert np.mean(np.array(p_values) <= 0.05) <= 0.15
    assert 0.3 < np.mean(p_values) < 0.7


def test_a_column_that_differs_is_named_first_and_equal_columns_are_silent() -> None:
    draw = np.random.default_rng(0)
    first = {f"c{place}": draw.normal(size=800) for place in range(10)}
    second = {f"c{place}": draw.normal(size=800) + 0.5 * (place == 4) for place in range(10)}
    found = compare_columns(first, second)
    assert found[0].name == "c4"
    assert found[0].p_value < 1e-6
    assert all(one.p_value > 0.05 for one in found[1:])
    constant = compare_columns({"size": np.full(50, 32.0)}, {"size": np.full(60, 32.0)})
    assert constant[0].p_value == 1.0
    with pytest.raises(InputError, match="columns"):
        compare_columns({"a": np.zeros(3)}, {"b": np.zeros(3)})


def test_a_fifth_of_one_class_removed_is_seen_and_its_share_is_estimated() -> None:
    labels = np.arange(20_000) % 10
    kept = (labels != 3) | (np.random.default_rng(5).random(len(labels)) > 0.2)
    said = predictions_of(labels, 10, 0.9, seed=1)
    others = predictions_of(labels[kept], 10, 0.9, seed=2)
    p_values = compare_shares(said, others, 10)
    assert p_values.argmin() == 3
    assert p_values[3] < 0.0125
    found = estimate_label_shift(labels, said, others, classes=10)
    assert found.second[3] == pytest.approx(0.08 / 0.98, abs=0.006)
    assert found.changed[0] == 3
    truth = np.bincount(labels[kept], minlength=10) / kept.sum()
    assert ((found.intervals[:, 0] <= truth) & (truth <= found.intervals[:, 1])).all()


def test_shares_are_unbiased_where_predictions_alone_are_not() -> None:
    labels, other = np.arange(6000) % 3, np.repeat([0, 1, 2], [4000, 1000, 1000])
    found = estimate_label_shift(
        labels, predictions_of(labels, 3, 0.6, seed=1), predictions_of(other, 3, 0.6, seed=2), classes=3
    )
    assert found.second == pytest.approx([4 / 6, 1 / 6, 1 / 6], abs=0.05)


def test_an_ill_conditioned_confusion_is_refused_in_a_sentence() -> None:
    labels = np.arange(1000) % 4
    chance = np.random.default_rng(0).integers(0, 4, 1000)
    with pytest.raises(InputError, match="ill-conditioned"):
        estimate_label_shift(labels, chance, chance, classes=4)
    with pytest.raises(InputError, match="0 pictures of the rarest class"):
        estimate_label_shift(labels, labels, labels, classes=5)


def test_equal_shares_are_called_different_no_more_often_than_promised() -> None:
    alarms = 0
    for seed in range(200):
        draw = np.random.default_rng(seed)
        alarms += bool(compare_shares(draw.integers(0, 5, 300), draw.integers(0, 5, 200), 5).min() < 0.05)
    assert alarms <= 14  # 5% of 200, and two deviations of chance


def test_the_pictures_that_tell_most_are_those_that_differ() -> None:
    draw = np.random.default_rng(0)
    first, second = draw.normal(size=(300, 8)), draw.normal(size=(300, 8))
    second[:60, 2] += 4
    found = tell_apart(first, second)
    assert found.interval[0] > 0.5
    assert (found.telling[:30] < 60).mean() > 0.9


def test_estimated_accuracy_is_exact_for_a_calibrated_model_under_a_shift_of_difficulty() -> None:
    draw = np.random.default_rng(0)

    def pictures(count: int, low: float) -> tuple[np.ndarray, np.ndarray]:
        sure = draw.uniform(low, 1, count)
        right = draw.random(count) < sure
        return np.stack([sure, 1 - sure], 1), (~right).astype(int)

    known, labels = pictures(20_000, 0.5)
    others, _ = pictures(20_000, 0.5)
    others[:, 0] = 0.5 + 0.6 * (others[:, 0] - 0.5)  # less sure, and as often right as it says
    others[:, 1] = 1 - others[:, 0]
    right = others[:, 0].mean()
    found = estimate_accuracy(known, labels, others)
    assert found.known == pytest.approx(0.75, abs=0.01)
    assert found.confidence == pytest.approx(right, abs=0.005)
    assert found.thresholded < found.known - 0.1
    same = estimate_accuracy(known, labels, known)
    assert same.thresholded == pytest.approx(same.known, abs=1e-3)
    assert same.thresholded_interval[0] < same.known < same.thresholded_interval[1]
    assert "Label a hundred" in found.warning
