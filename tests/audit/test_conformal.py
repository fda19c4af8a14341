"""Conformal sets on published vectors, against their definition, and their promise over many splits."""

from __future__ import annotations

import math

import numpy as np
import pytest

from backlight.audit.conformal import (
    SCORES,
    aps,
    conformal_quantile,
    conformal_sets,
    coverage_band,
    lac,
    quantile_rank,
    raps,
    saps,
    tune_raps,
)
from backlight.core.errors import InputError
from tests.audit.test_calibration_error import drawn, softmax

P = np.array([[0.5, 0.3, 0.15, 0.05]])


def u(value: float) -> np.ndarray:
    return np.array([[value]])


def test_published_vectors() -> None:
    assert aps(P, u(0))[0] == pytest.approx([0.5, 0.8, 0.95, 1.0])
    assert aps(P, u(0.5))[0] == pytest.approx([0.25, 0.65, 0.875, 0.975])
    assert raps(P, u(0.5), penalty=0.1, free=1)[0] == pytest.approx([0.25, 0.75, 1.075, 1.275])
    assert lac(P, u(0.5))[0] == pytest.approx([0.5, 0.7, 0.85, 0.95])
    assert saps(P, u(0.5), weight=0.2)[0] == pytest.approx([0.25, 0.6, 0.8, 1.0])
    ranks = [quantile_rank(n, alpha) for n, alpha in ((100, 0.1), (500, 0.1), (50, 0.05), (8, 0.1), (9, 0.1))]
    assert ranks == [91, 451, 49, 9, 9]
    assert coverage_band(500, 0.1) == pytest.approx((0.8773, 0.9213), abs=5e-5)
    assert coverage_band(1000, 0.1) == pytest.approx((0.8841, 0.9152), abs=5e-5)


def test_scores_follow_the_classes_wherever_they_stand() -> None:
    order = np.array([2, 0, 3, 1])
    for score in SCORES.values():
        assert score(P[:, order], u(0.3))[0] == pytest.approx(score(P, u(0.3))[0][order])
    with_ties = np.array([[0.25, 0.25, 0.25, 0.25]])
    assert aps(with_ties, u(0))[0] == pytest.approx([0.25, 0.5, 0.75, 1])


@pytest.mark.parametrize("score", sorted(SCORES))
@pytest.mark.parametrize("class_conditional", [False, True])
def test_coverage_over_twenty_splits_lies_in_its_band(score: str, class_conditional: bool) -> None:
    inside, shares = 0, []
    for seed in range(20):
        logits, labels = drawn(1500, classes=5, seed=seed)
        p = softmax(1.7 * logits)
        found = conformal_sets(
            p[:500],
            labels[:500],
            p[500:],
            score=score,
            class_conditional=class_conditional,
            never_empty=False,
            seed=seed,
        )
        share = found.covers(labels[500:]).mean()
        low, high = coverage_band(found.n, 0.1, tested=1000, confidence=0.99)
        inside += low <= share <= high
        shares.append(share)
    assert inside >= (15 if class_conditional else 19)  # five thresholds of few pictures each vary more
    assert np.mean(shares) == pytest.approx(0.9, abs=0.02)


def test_class_conditional_sets_hold_their_promise_for_the_hard_class() -> None:
    worst: dict[bool, list[float]] = {False: [], True: []}
    for seed in range(8):
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, 3, 3000)
        logits = np.where(labels == 2, 0.5, 4.0)[:, None] * np.eye(3)[labels] + rng.normal(size=(3000, 3))
        p = softmax(logits)
        for conditional, found in worst.items():
            sets = conformal_sets(p[:1500], labels[:1500], p[1500:], class_conditional=conditional)
            found.append(sets.covers(labels[1500:])[labels[1500:] == 2].mean())
    assert np.mean(worst[False]) < 0.8
    assert np.mean(worst[True]) == pytest.approx(0.9, abs=0.03)


def test_classes_with_few_pictures_share_a_threshold() -> None:
    logits, labels = drawn(400, classes=6)
    labels[labels >= 4] = 3
    labels[:7], labels[7:14] = 4, 5
    found = conformal_sets(softmax(logits), labels, softmax(logits), class_conditional=True)
    assert found.thresholds[4] == found.thresholds[5]
    assert math.isfinite(found.thresholds[4])
    assert len(set(found.thresholds[:4].tolist())) == 4
    only = conformal_sets(softmax(logits)[:8], labels[:8], softmax(logits), alpha=0.1)
    assert np.isinf(only.thresholds).all()
    assert only.members.all()


def test_a_threshold_is_the_smallest_score_that_enough_do_not_exceed() -> None:
    scores = np.random.default_rng(0).random(100)
    assert conformal_quantile(scores, 0.1) == sorted(scores)[90]
    assert conformal_quantile(scores[:8], 0.1) == math.inf


def test_options_of_raps_make_small_sets() -> None:
    logits, labels = drawn(3000, classes=50, scale=2.5)
    p = softmax(logits)
    plain = conformal_sets(p[:1500], labels[:1500], p[1500:], score="aps").sizes.mean()
    tuned = conformal_sets(p[:1500], labels[:1500], p[1500:], score="raps")
    smallest = conformal_sets(p[:1500], labels[:1500], p[1500:], score="lac").sizes.mean()
    assert smallest <= tuned.sizes.mean() < plain
    assert tuned.score.startswith("raps:penalty=")
    assert tuned.n < 1500
    given = conformal_sets(p[:1500], labels[:1500], p[1500:], score=tune_raps(p[:500], labels[:500]))
    assert given.n == 1500


def test_sets_depend_on_ids_not_on_places_and_are_never_empty_unless_asked() -> None:
    logits, labels = drawn(600, classes=5)
    p = softmax(3 * logits)
    ids = [f"{row}.png" for row in range(300)]
    found = conformal_sets(p[300:], labels[300:], p[:300], score="aps", ids=ids, alpha=0.4)
    order = np.random.default_rng(0).permutation(300)
    other = conformal_sets(
        p[300:], labels[300:], p[:300][order], score="aps", ids=[ids[row] for row in order], alpha=0.4
    )
    assert np.array_equal(other.members, found.members[order])
    assert found.sizes.min() == 1
    empty = conformal_sets(p[300:], labels[300:], p[:300], score="aps", ids=ids, alpha=0.4, never_empty=False)
    assert empty.sizes.min() == 0


def test_wrong_use_says_why() -> None:
    with pytest.raises(InputError, match="raps"):
        conformal_sets(P, np.array([0]), P, score="rasp")
    with pytest.raises(InputError, match="alpha"):
        conformal_sets(P, np.array([0]), P, alpha=1.0)
    with pytest.raises(InputError, match="as calibrated"):
        conformal_sets(P, np.array([0]), np.ones((1, 1)))
