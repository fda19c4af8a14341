"""Confident learning against its published vector, its text as loops, cleanlab, and labels that were flipped."""

from __future__ import annotations

import numpy as np
import pytest

from backlight.audit.label_errors import confident_joint, estimate_label_noise, find_label_errors
from backlight.audit.probe import out_of_fold
from backlight.core.errors import InputError
from tests.audit.test_probe import clusters

VECTOR = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.2, 0.8], [0.4, 0.6], [0.7, 0.3]])
LABELS = np.array([0, 0, 0, 1, 1, 1])


def drawn(
    count: int, classes: int, noise: float, seed: int, signal: float = 3.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw probabilities, labels of which a share was flipped, and which those are."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, classes, count)
    scores = rng.normal(size=(count, classes)) + signal * np.eye(classes)[true]
    probabilities = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    flipped = rng.random(count) < noise
    return probabilities, np.where(flipped, (true + rng.integers(1, classes, count)) % classes, true), flipped


def test_the_published_vector() -> None:
    found = find_label_errors(VECTOR, LABELS)
    assert found.thresholds == pytest.approx([2 / 3, 1.7 / 3], abs=1e-12)
    assert confident_joint(found, LABELS).tolist() == [[2, 1], [1, 2]]
    assert found.joint.tolist() == [[0, 0, 2], [0, 1, 1], [1, 0, 1], [1, 1, 2]]
    assert found.rows.tolist() == [2, 5]
    assert found.suggested[[2, 5]].tolist() == [1, 0]
    assert found.quality.tolist() == VECTOR[np.arange(6), LABELS].tolist()
    assert found.share == pytest.approx(1 / 3)
    assert found.interval[0] <= found.share <= found.interval[1]


@pytest.mark.parametrize("seed", range(3))
def test_equal_to_the_text_as_loops(seed: int) -> None:
    probabilities, labels, _ = drawn(300, 5, 0.1, seed)
    found = find_label_errors(probabilities, labels)
    thresholds = [probabilities[labels == j, j].mean() for j in range(5)]
    counts = np.zeros((5, 5))
    for row, given in zip(probabilities, labels):
        reached = [j for j in range(5) if row[j] >= thresholds[j] - 1e-6]
        if reached:
            counts[given, max(reached, key=lambda j: row[j])] += 1
    assert np.array_equal(confident_joint(found, labels), counts)
    scaled = counts / counts.sum(1, keepdims=True) * np.bincount(labels)[:, None]
    dense = np.zeros((5, 5))
    dense[found.joint[:, 0], found.joint[:, 1]] = found.joint[:, 2]
    assert dense.sum(1).tolist() == np.bincount(labels).tolist()
    assert np.abs(dense - scaled).max() < 1
    flagged = set()
    for given in range(5):
        members = np.flatnonzero(labels == given)
        for true in set(range(5)) - {given}:
            margins = probabilities[members, true] - probabilities[members, given]
            flagged |= set(members[np.argsort(-margins)][: int(dense[given, true])].tolist())
    flagged = {row for row in flagged if probabilities[row].argmax() != labels[row]}
    assert set(found.rows.tolist()) == flagged
    assert (np.diff(found.quality[found.rows]) >= 0).all()
    assert found.share == pytest.approx(1 - np.trace(scaled) / 300)


@pytest.mark.parametrize(("count", "classes"), [(2000, 10), (1500, 2), (600, 40)])
def test_equal_to_cleanlab(count: int, classes: int) -> None:
    peer = pytest.importorskip("cleanlab")
    probabilities, labels, _ = drawn(count, classes, 0.1, 0)
    found = find_label_errors(probabilities, labels)
    joint = peer.count.compute_confident_joint(labels, probabilities, calibrate=False)
    assert np.array_equal(confident_joint(found, labels), joint)
    theirs = set(peer.filter.find_label_issues(labels, probabilities, n_jobs=1).nonzero()[0].tolist())
    ours = set(found.rows.tolist())
    # Where remainders are equal, which class is rounded up depends there on an unstable sort.
    assert len(ours & theirs) / len(ours | theirs) > 0.96


def test_flipped_labels_are_found_and_counted() -> None:
    for seed in range(5):
        probabilities, labels, flipped = drawn(2000, 10, 0.05, seed)
        found = find_label_errors(probabilities, labels)
        most_doubtful = np.argsort(found.quality)[: 2 * flipped.sum()]
        assert flipped[most_doubtful].mean() * 2 > 0.8
        share, (low, high), rows = estimate_label_noise(probabilities, labels)
        assert low - 0.005 < 0.05 < high + 0.005
        assert len(rows) == 400
        assert low <= share <= high


def test_what_a_weak_model_gets_wrong_is_no_error_of_labels() -> None:
    probabilities, labels, _ = drawn(4000, 4, 0.05, 0, signal=1.5)
    assert (probabilities.argmax(1) != labels).mean() > 0.3
    assert find_label_errors(probabilities, labels).share > 0.15
    assert estimate_label_noise(probabilities, labels, surest=0.2)[0] < 0.09


def test_right_labels_are_left_alone() -> None:
    probabilities, labels, _ = drawn(2000, 10, 0.0, 0)
    assert estimate_label_noise(probabilities, labels)[0] < 0.005
    features, clear = clusters(300)
    found = find_label_errors(out_of_fold(features, clear).probabilities, clear)
    assert len(found.rows) == 0
    assert found.share == 0
    assert found.interval == (0, 0)


def test_the_interval_holds_the_share_of_other_draws_and_follows_the_seed() -> None:
    shares = [find_label_errors(*drawn(1000, 5, 0.1, seed)[:2]).share for seed in range(1, 21)]
    probabilities, labels, _ = drawn(1000, 5, 0.1, 0)
    low, high = find_label_errors(probabilities, labels).interval
    assert 0.02 < high - low < 0.08
    assert low - 0.02 < np.mean(shares) < high + 0.02
    assert find_label_errors(probabilities, labels, seed=1).interval != (low, high)


def test_absent_and_lonely_classes() -> None:
    probabilities = np.array([[0.8, 0.1, 0.1], [0.9, 0.05, 0.05], [0.7, 0.2, 0.1]])
    found = find_label_errors(probabilities, np.array([0, 0, 1]))
    assert found.rows.tolist() == []  # one picture of a class stays
    assert found.joint[:, 2].sum() == 3
    assert 2 not in found.confident


def test_what_is_no_probability_is_refused() -> None:
    with pytest.raises(InputError, match="sum to"):
        find_label_errors(np.ones((2, 2)), np.array([0, 1]))
    with pytest.raises(InputError, match="sum to nan"):
        find_label_errors(np.full((2, 2), np.nan), np.array([0, 1]))
    with pytest.raises(InputError, match="labels from 0 to 2"):
        find_label_errors(np.full((2, 2), 0.5), np.array([0, 2]))
    with pytest.raises(InputError, match="below 0"):
        find_label_errors(np.array([[1.5, -0.5]]), np.array([0]))
