"""Weak slices: planted ones are found and confirmed, chance shows nothing; the parts against closed forms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from backlight.audit.clusters import cluster, principal_axes
from backlight.audit.ranges import Range, find_ranges
from backlight.audit.weak_slices import _gap, find_weak_slices, shared_properties
from backlight.core.errors import InputError


def pictures(count: int = 2000, seed: int = 0) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Draw features in ten clusters, four properties, and answers of which a tenth is wrong anywhere."""
    rng = np.random.default_rng(seed)
    kinds = rng.integers(0, 10, count)
    features = (3 * rng.normal(size=(10, 40))[kinds] + rng.normal(size=(count, 40))).astype(np.float16)
    names = ("brightness", "contrast", "hue", "size")
    properties = {name: rng.random(count) for name in names}
    properties["size"][rng.random(count) < 0.2] = np.nan
    return features, {**properties, "kind": kinds.astype(float)}, rng.random(count) > 0.1


def test_dark_pictures_that_the_model_gets_wrong_are_found_and_confirmed() -> None:
    for seed in range(5):
        features, properties, right = pictures(seed=seed)
        dark = properties["brightness"] < 0.15
        right &= ~(dark & (np.random.default_rng(seed).random(len(right)) < 0.5))
        found = find_weak_slices(right, features=features, properties=properties, seed=seed)
        worst = found.slices[0]
        assert worst.kind == "properties"
        assert "brightness below 0.1" in worst.name
        assert len(np.intersect1d(worst.rows, np.flatnonzero(dark))) > 0.8 * max(dark.sum(), len(worst.rows))
        assert worst.error > 0.4 > 0.2 > worst.others
        assert 0 < worst.low < worst.gap
        assert worst.shared[0] == ("brightness", 0.0) or worst.shared[0][1] < 0.05


def test_a_cluster_of_features_that_the_model_gets_wrong_is_found() -> None:
    features, properties, right = pictures()
    kind = properties.pop("kind")
    right &= ~((kind == 3) & (np.random.default_rng(1).random(len(right)) < 0.6))
    found = find_weak_slices(right, features=features, properties=properties)
    assert found.slices
    assert {one.kind for one in found.slices} == {"features"}
    members = np.concatenate([one.rows for one in found.slices])
    assert (kind[members] == 3).mean() > 0.9


def test_a_group_of_a_list_is_found_by_name() -> None:
    _, _, right = pictures()
    camera = ["old" if row % 7 == 0 else "new" if row % 7 < 6 else None for row in range(len(right))]
    right[::7] &= np.random.default_rng(0).random(len(right[::7])) < 0.7
    found = find_weak_slices(right, groups={"camera": camera})
    assert [(one.kind, one.name) for one in found.slices] == [("camera", "old")]
    assert found.looked_at == found.tested + 1 == 2


def test_errors_that_have_nothing_to_do_with_pictures_show_no_slice() -> None:
    shown = 0
    for seed in range(20):
        features, properties, right = pictures(800, seed)
        right = np.random.default_rng(seed).permutation(right)
        shown += bool(find_weak_slices(right, features=features, properties=properties, seed=seed).slices)
    assert shown <= 1


def test_nothing_is_looked_for_in_the_half_that_confirms() -> None:
    features, properties, right = pictures(400)
    dark = properties["brightness"] < 0.2
    right &= ~dark
    found = find_weak_slices(right, properties={"brightness": properties["brightness"]})
    again = find_weak_slices(right, properties={"brightness": properties["brightness"]}, confidence=0.5)
    assert found.tested == again.tested
    assert found.slices[0].name == again.slices[0].name
    assert found.slices[0].low < again.slices[0].low
    assert found.slices[0].n < len(found.slices[0].rows)


def test_order_does_not_matter_and_ids_do() -> None:
    features, properties, right = pictures(600)
    right &= properties["brightness"] > 0.2
    ids = [f"{row}.png" for row in range(600)]
    found = find_weak_slices(right, features=features, properties=properties, ids=ids)
    order = np.random.default_rng(0).permutation(600)
    other = find_weak_slices(
        right[order],
        features=features[order],
        properties={name: column[order] for name, column in properties.items()},
        ids=[ids[row] for row in order],
    )
    assert [one.name for one in other.slices] == [one.name for one in found.slices]
    assert sorted(order[other.slices[0].rows].tolist()) == found.slices[0].rows.tolist()


def test_the_lower_bound_is_newcombes() -> None:
    # Newcombe 1998, table II, method 10: 56 of 70 against 48 of 80, 0.0524 to 0.3339.
    members, wrong = np.arange(150) < 70, np.concatenate([np.arange(70) < 56, np.arange(80) < 48])
    found = _gap(members, wrong, np.ones(150, bool), 0.95)
    assert found[:3] == (70, 0.8, 0.6)
    assert found[3:] == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_ranges_against_every_cut() -> None:
    rng = np.random.default_rng(0)
    values = rng.permutation(31).astype(float)
    wrong = (values < 9) | (rng.random(31) < 0.1)
    first = find_ranges(wrong, {"x": values}, depth=1, least=1)[0]

    def impurity(members: np.ndarray) -> float:
        return members.sum() * (1 - members.mean()) if len(members) else 0.0

    cuts = {cut: impurity(wrong[values < cut]) + impurity(wrong[values >= cut]) for cut in range(1, 31)}
    assert first.bounds[0][2] == min(cuts, key=lambda cut: cuts[cut])
    assert find_ranges(np.zeros(31, bool), {"x": values}, least=1) == []
    assert find_ranges(wrong, {"x": np.full(31, np.nan)}, least=1) == []
    assert find_ranges(wrong, {"x": np.ones(31)}, least=1) == []
    two = find_ranges(wrong & (values > 3), {"x": values, "y": rng.random(31)}, depth=2, least=2)
    assert any("to" in str(one) for one in two)
    assert str(Range((("jpeg_quality", 3.0, np.inf),))) == "jpeg quality at least 3"


def test_components_and_clusters(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    points = torch.tensor(rng.normal(size=(200, 30)) * np.linspace(3, 0.1, 30)).float()
    mean, axes = principal_axes(points, 5)
    exact = torch.linalg.svd(points - points.mean(0), full_matrices=False)[2][:5].T
    assert torch.linalg.svdvals(axes.T @ exact).min() > 0.99
    assert torch.allclose(axes.T @ axes, torch.eye(5), atol=1e-5)
    features, properties, _ = pictures()
    found = cluster(features, count=10)
    for number in range(10):
        kinds = properties["kind"][found.numbers == number]
        assert np.bincount(kinds.astype(int)).max() / len(kinds) > 0.9
    features.tofile(tmp_path / "features")
    mapped = np.memmap(tmp_path / "features", np.float16, "r", shape=features.shape)
    assert np.array_equal(cluster(mapped, np.arange(500)).numbers, cluster(features, np.arange(500)).numbers)
    assert cluster(features, np.arange(800)).count == 20
    assert cluster(np.ones((9, 3))).count == 1


def test_what_members_share_is_a_chance_of_being_higher() -> None:
    rng = np.random.default_rng(0)
    members, column = rng.random(80) < 0.4, rng.integers(0, 9, 80).astype(float)
    column[members] += 4
    column[3] = np.nan
    inside, outside = column[members & ~np.isnan(column)], column[~members & ~np.isnan(column)]
    chance = np.mean([(a > b) + 0.5 * (a == b) for a in inside for b in outside])
    assert shared_properties(members, {"x": column}) == (("x", pytest.approx(chance)),)
    assert shared_properties(np.zeros(80, bool), {"x": column}) == ()


def test_columns_of_other_lengths_are_refused() -> None:
    with pytest.raises(InputError, match="3 values of hue for 4"):
        find_weak_slices(np.ones(4, bool), properties={"hue": np.zeros(3)})
    assert find_weak_slices(np.ones(4, bool), features=np.eye(4)).slices == ()
    assert find_weak_slices(np.zeros(0, bool)).looked_at == 0
