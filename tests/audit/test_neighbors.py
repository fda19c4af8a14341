"""Nearest neighbors against all pairs in double precision."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from backlight.audit.arrays import add_products
from backlight.audit.neighbors import Metric, find_neighbors
from backlight.core.errors import InputError


def all_pairs(queries: np.ndarray, features: np.ndarray, metric: Metric) -> np.ndarray:
    if metric == "l2":
        return np.sqrt(((queries[:, None] - features[None]) ** 2).sum(2))
    unit = [rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-300) for rows in (queries, features)]
    return 1 - unit[0] @ unit[1].T


@pytest.mark.parametrize("metric", ["cosine", "l2"])
@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_equal_to_all_pairs_at_any_part_size(metric: Metric, offset: float, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    queries, features = rng.normal(size=(50, 6)) + offset, rng.normal(size=(333, 6)) + offset
    expected = np.sort(all_pairs(queries, features, metric), 1)[:, :7]
    for pairs, at_once in ((2**23, 1024), (500, 17)):
        monkeypatch.setattr("backlight.audit.neighbors._PAIRS", pairs)
        monkeypatch.setattr("backlight.audit.neighbors._QUERIES", at_once)
        found = find_neighbors(queries, features, 7, metric=metric)
        assert np.abs(found.distances - expected).max() < (1e-5 if offset == 0 else 1e-4)
        true = np.take_along_axis(all_pairs(queries, features, metric), found.rows, 1)
        assert np.abs(true - expected).max() < (1e-6 if metric == "l2" or offset == 0 else 1e-5)


def test_within_a_set_a_row_is_not_its_own_neighbor_but_its_copy_is_at_zero() -> None:
    features = np.random.default_rng(0).normal(size=(40, 5))
    features[30] = features[3]
    for metric in ("cosine", "l2"):
        found = find_neighbors(features, features, 3, metric=metric, own=np.arange(40))
        assert (found.rows != np.arange(40)[:, None]).all()
        assert found.rows[30, 0] == 3
        assert found.rows[3, 0] == 30
        assert found.distances[3, 0] == 0


def test_fewer_rows_than_neighbors() -> None:
    found = find_neighbors(np.eye(2), np.eye(2), 3, own=np.arange(2))
    assert found.rows.tolist() == [[1, -1, -1], [0, -1, -1]]
    assert np.isinf(found.distances[:, 1:]).all()
    assert found.share(np.ones((2, 3), bool)).tolist() == [1, 1]
    alone = find_neighbors(np.eye(1), np.eye(1), 1, own=np.arange(1))
    assert np.isnan(alone.share(alone.rows >= 0)[0])


def test_a_row_of_zeros_is_at_a_right_angle_to_all() -> None:
    features = np.array([[0.0, 0.0], [1.0, 0.1], [-1.0, 0.0]])
    found = find_neighbors(np.array([[1.0, 0.0], [0.0, 0.0]]), features, 3)
    assert found.rows[0].tolist() == [1, 0, 2]
    assert found.distances[0] == pytest.approx([1 - 1 / np.sqrt(1.01), 1, 2], abs=1e-6)
    assert found.distances[1].tolist() == [1, 1, 1]


def test_rows_may_lie_in_a_file(tmp_path: Path) -> None:
    features = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float16)
    features.tofile(tmp_path / "features")
    mapped = np.memmap(tmp_path / "features", np.float16, "r", shape=features.shape)
    assert np.array_equal(find_neighbors(mapped, mapped, 5).rows, find_neighbors(features, features, 5).rows)


def test_wrong_use_says_why() -> None:
    with pytest.raises(InputError, match="expected 2"):
        find_neighbors(np.eye(3), np.eye(2))
    with pytest.raises(InputError, match="metric"):
        find_neighbors(np.eye(2), np.eye(2), metric="cos")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="at least 1"):
        find_neighbors(np.eye(2), np.eye(2), 0)


def test_a_set_searched_within_itself_is_searched_as_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backlight.audit.neighbors._BLOCK", 16)
    features = np.random.default_rng(3).normal(size=(50, 9)).astype(np.float16)
    own = np.arange(50)
    within, across = (find_neighbors(one, features, 6, own=own) for one in (features, features.copy()))
    np.testing.assert_array_equal(within.rows, across.rows)
    np.testing.assert_array_equal(within.distances, across.distances)


def test_half_of_the_products_of_columns_are_those_of_all() -> None:
    rows = torch.randn(40, 600, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    sums = torch.zeros(600, 600, dtype=torch.float64)
    for part in rows.split(15):
        add_products(sums, part)
    assert torch.allclose(sums.tril(), (rows.T @ rows).tril())
