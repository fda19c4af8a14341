"""Numbers of a corruption study against tables made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from backlight.core.errors import DataError, UsageError
from backlight.corrupt.alexnet import ALEXNET_ACCURACY
from backlight.corrupt.registry import FIFTEEN, frost_card
from backlight.corrupt.request import CorruptionRequest
from backlight.corrupt.results import KindResult, mean_corruption_error
from backlight.corrupt.study import CorruptionStudy
from backlight.table import Table
from backlight.table.statistics import wilson


def study(severities: tuple[int, ...] = (1, 2)) -> CorruptionStudy:
    """Four pictures of two classes, right clean but for the last; fog fells one, then two; jpeg none."""
    fog = [[0, 0], [0, 1], [1, 0], [0, 0]]
    columns = {
        "label": [0, 0, 1, 1],
        "prediction": [0, 0, 1, 0],
        "confidence": [0.9, 0.8, 0.7, 0.6],
        "fog.prediction": fog,
        "fog.confidence": [[0.5, 0.5]] * 4,
        "jpeg.prediction": [[0, 0], [0, 0], [1, 1], [0, 0]],
        "jpeg.confidence": [[1.0, 1.0]] * 4,
        "stability.rotate.prediction": [[0, 1], [0, 0], [1, 1], [0, 0]],
        "stability.rotate.change": [[0.0, 0.4], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]],
        "stability.crop.prediction": [[0], [0], [1], [0]],
        "stability.crop.change": [[0.0], [0.0], [0.0], [0.0]],
    }
    request = CorruptionRequest.of("fog,jpeg", severities=severities, stability=True)
    return CorruptionStudy(Table.of({"id": ["a", "b", "c", "d"], **columns}), request, ("cat", "dog"))


def test_accuracies_and_intervals() -> None:
    found = study()
    assert found.clean_accuracy == 0.75
    assert found.kinds["fog"].accuracy == (0.75, 0.25)
    assert found.kinds["fog"].interval == (wilson(3, 4), wilson(1, 4))
    assert found.kinds["fog"].mean == 0.5
    assert found.mean_accuracy == (0.5 + 0.75) / 2
    assert found.groups == {"weather": 0.5, "digital": 0.75}
    assert found.kinds["fog"].confidence == (0.5, 0.5)


def test_kinds_that_are_not_counted_change_no_group_that_has_others() -> None:
    both = study()
    columns = {name.replace("jpeg", "frost_like"): both.table[name] for name in both.table.names}
    table = Table.of(columns | {"speckle_noise.prediction": [[1, 1]] * 4, "speckle_noise.confidence": [[1.0, 1.0]] * 4})
    request = CorruptionRequest.of("fog,frost_like,speckle_noise", severities=(1, 2))
    assert CorruptionStudy(table, request, ("cat", "dog")).groups == {"weather": 0.5, "noise": 0.5}


def test_the_interval_over_looks_is_that_of_as_many_trials_as_pictures() -> None:
    found = study()
    assert found.kinds["fog"].mean_interval == wilson(2, 4)
    assert found.stability["rotate"].interval == wilson(0.5, 4)


def test_calibration_of_one_bin_is_the_gap() -> None:
    assert study().kinds["fog"].ece == pytest.approx((0.25, 0.25))
    assert study().kinds["jpeg"].ece == pytest.approx((0.25, 0.25))


def test_stability_counts_answers_that_changed_and_leaves_out_what_was_not_tried() -> None:
    found = study().stability
    assert set(found) == {"rotate"}
    assert found["rotate"].flip_share == 1 / 8
    assert found["rotate"].by_amount == (0, 0.25)
    assert found["rotate"].change == pytest.approx(0.05)


def test_classes_fall_and_pictures_fall() -> None:
    found = study()
    assert list(found.per_class) == ["cat", "dog"]  # both lost an eighth
    assert found.per_class["cat"] == (2, 1.0, pytest.approx(0.875))
    assert found.per_class["dog"] == (2, 0.5, pytest.approx(0.375))
    assert found.worst_pictures() == [("b", 1, 4), ("c", 1, 4), ("a", 0, 4)]


def kind(name: str, accuracy: tuple[float, ...], counted: bool = True) -> KindResult:
    return KindResult(name, "noise", counted, (1, 2, 3, 4, 5), accuracy, ((0, 1),) * 5, (0.5,) * 5, (0.0,) * 5)


def test_mean_corruption_error_of_alexnet_itself_is_100() -> None:
    own = {name: kind(name, values) for name, values in ALEXNET_ACCURACY.items()}
    assert mean_corruption_error(own, ALEXNET_ACCURACY) == pytest.approx(100)


def test_mean_corruption_error_weighs_each_kind_by_its_base() -> None:
    halved = {name: kind(name, tuple((1 + one) / 2 for one in ALEXNET_ACCURACY[name])) for name in ("fog", "snow")}
    perfect = {**halved, "jpeg": kind("jpeg", (1.0,) * 5)}
    assert mean_corruption_error(halved, ALEXNET_ACCURACY) == pytest.approx(50)
    assert mean_corruption_error(perfect, ALEXNET_ACCURACY) == pytest.approx(100 / 3)
    drawn = {**halved, "frost_like": kind("frost_like", (0.0,) * 5, counted=False)}
    assert mean_corruption_error(drawn, ALEXNET_ACCURACY) == pytest.approx(50)
    assert mean_corruption_error({}, ALEXNET_ACCURACY) is None


def test_only_imagenets_classes_are_weighed_by_alexnet() -> None:
    assert study().mce is None
    assert set(ALEXNET_ACCURACY) == set(FIFTEEN)
    assert all(len(one) == 5 and all(np.diff(one)[1:] < 0.2) for one in ALEXNET_ACCURACY.values())


def test_relative_error_needs_the_same_corruptions() -> None:
    assert study().relative_mce(study()) == pytest.approx(100)
    other = study()
    with pytest.raises(DataError, match="same corruptions"):
        CorruptionStudy(other.table, CorruptionRequest.of("fog"), other.labels).relative_mce(other)


@pytest.mark.parametrize(
    ("kinds", "names"),
    [
        ("noise", ("gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise")),
        ("jpeg,fog", ("jpeg", "fog")),
        ("frost-like", ("frost_like",)),
    ],
)
def test_kinds_by_name_and_group(kinds: str, names: tuple[str, ...]) -> None:
    assert CorruptionRequest.of(kinds).names == names


def test_the_published_fifteen_have_frost_only_with_photographs() -> None:
    assert CorruptionRequest.of().names == tuple("frost_like" if one == "frost" else one for one in FIFTEEN)
    icy = frost_card(lambda images, constants, random: images)
    assert CorruptionRequest.of(frost=icy).names == FIFTEEN
    assert CorruptionRequest.of("frost", frost=icy).names == ("frost",)
    assert len(CorruptionRequest.of("all", frost=icy).names) == 19


@pytest.mark.parametrize(
    ("kinds", "severities"),
    [("fog,fog", "1"), ("rain", "1"), ("fog", "0"), ("fog", "1-9"), ("fog", "x"), ("fog", "1,1")],
)
def test_wrong_requests_are_told(kinds: str, severities: str) -> None:
    with pytest.raises(UsageError):
        CorruptionRequest.of(kinds, severities=severities)
