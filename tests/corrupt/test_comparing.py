"""Paired differences against scipy's, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from backlight.core.errors import DataError
from backlight.corrupt.comparing import compare_studies
from backlight.corrupt.request import CorruptionRequest
from backlight.corrupt.study import CorruptionStudy
from backlight.table import Table

COUNT = 200


def study(chance: float, seed: int, names: str = "fog,jpeg") -> CorruptionStudy:
    """Return a study of pictures of class 0 that are right with a chance."""
    drawn = np.random.default_rng(seed)
    columns = {
        "label": np.zeros(COUNT, dtype=int),
        "prediction": np.zeros(COUNT, dtype=int),
        "confidence": np.ones(COUNT),
    }
    for name in names.split(","):
        columns[f"{name}.prediction"] = (drawn.random((COUNT, 2)) > chance).astype(int)
        columns[f"{name}.confidence"] = np.ones((COUNT, 2))
    ids = [f"p{row}" for row in range(COUNT)]
    return CorruptionStudy(Table.of({"id": ids, **columns}), CorruptionRequest.of(names, severities=[1, 2]), ("a", "b"))


def test_the_interval_is_that_of_a_mean_of_paired_differences() -> None:
    first, second = study(0.5, 0), study(0.7, 1)
    found = compare_studies(first, second)["fog"]
    apart = second.right("fog").mean(1) - first.right("fog").mean(1)
    low, high = stats.norm.interval(0.95, apart.mean(), stats.sem(apart))
    assert found.difference == pytest.approx(apart.mean())
    assert found.interval == pytest.approx((low, high))
    assert found.clear


def test_a_model_is_as_good_as_itself() -> None:
    found = compare_studies(study(0.5, 0), study(0.5, 0))
    assert set(found) == {"clean", "fog", "jpeg", "mean"}
    assert all(one.difference == 0 and not one.clear for one in found.values())


def test_rows_are_matched_by_id() -> None:
    first = study(0.5, 0)
    turned = CorruptionStudy(first.table.at(first.table.ids[::-1]), first.request, first.labels)
    assert compare_studies(first, turned)["mean"].interval == (0, 0)


def test_other_corruptions_and_other_pictures_are_refused() -> None:
    with pytest.raises(DataError, match="same corruptions"):
        compare_studies(study(0.5, 0), study(0.5, 0, "fog"))
    first = study(0.5, 0)
    with pytest.raises(DataError, match="ids"):
        compare_studies(first, CorruptionStudy(first.table.head(10), first.request, first.labels))
