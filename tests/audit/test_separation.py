"""AUROC and false acceptances: brute force, closed forms, and intervals that cover."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from backlight.audit.separation import measure_separation
from backlight.core.errors import InputError


def test_auroc_and_fpr_are_those_of_the_definition() -> None:
    draw = np.random.default_rng(0)
    known, unknown = draw.integers(0, 12, 90) / 4, draw.integers(-4, 8, 70) / 4  # many ties
    found = measure_separation(known, {"u": unknown}).sets["u"]
    pairs = (known[:, None] > unknown).mean() + 0.5 * (known[:, None] == unknown).mean()
    assert found.auroc == pytest.approx(pairs)
    threshold = measure_separation(known, {}).threshold
    assert (known >= threshold).mean() >= 0.95
    assert (known >= np.nextafter(threshold, 9)).mean() < 0.95  # the largest that does
    assert found.fpr == pytest.approx((unknown >= threshold).mean())


def test_intervals_cover_the_truth_of_two_gaussians() -> None:
    truth, fpr = norm.cdf(1 / 2**0.5), norm.cdf(1.645 - 1)
    covered = np.zeros(2)
    for seed in range(100):
        draw = np.random.default_rng(seed)
        found = measure_separation(draw.normal(1, 1, 200), {"u": draw.normal(0, 1, 150)}, seed=seed).sets["u"]
        covered += [
            found.auroc_interval[0] <= truth <= found.auroc_interval[1],
            found.fpr_interval[0] <= fpr <= found.fpr_interval[1],
        ]
    assert (covered >= 85).all()


def test_a_seed_gives_the_same_intervals_and_another_seed_others() -> None:
    known, unknown = np.arange(50.0), {"u": np.arange(-20.0, 30.0)}
    first, again, other = (measure_separation(known, unknown, seed=seed).sets["u"] for seed in (0, 0, 1))
    assert first == again
    assert first.auroc_interval != other.auroc_interval


@pytest.mark.parametrize("known", [[], [np.nan], [[1.0]]])
def test_what_are_no_scores_is_refused(known: list) -> None:
    with pytest.raises(InputError):
        measure_separation(np.array(known), {})
