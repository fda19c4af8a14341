"""Findings as a gate and a page read them, judgements by intervals, and what is kept of pictures."""

import json

import numpy as np
import pytest

from backlight.audit import Examined, Finding, Kept, LinearHead, Shown, judge, not_judged
from backlight.core.errors import DataError, InputError


def test_a_finding_is_the_document_of_the_contract() -> None:
    found = Finding("a", "health", 0.5, (0.4, 0.6), 9, "bad", "So.", (Shown("x", "cap"), Shown("y")), "do", gain=0.1)
    assert found.to_json() == {
        "name": "a",
        "section": "health",
        "value": 0.5,
        "interval": [0.4, 0.6],
        "n": 9,
        "judgement": "bad",
        "sentence": "So.",
        "pictures": ["x", "y"],
        "next": "do",
        "command": "",
        "unit": "share",
    }


def test_numbers_that_are_none_are_null() -> None:
    found = Finding("a", "health", float("nan"), (float("-inf"), 1.0), 9, "look", "So.")
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["interval"] == [None, 1.0]
    assert not_judged("a", "health", "too few").to_json()["value"] is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"judgement": "fine"},
        {"interval": (0.6, 0.4)},
        {"tables": {"t": {"a": [1], "b": [1, 2]}}},
    ],
)
def test_what_is_no_finding_is_refused(wrong: dict[str, object]) -> None:
    good: dict[str, object] = {"value": 0.5, "interval": None, "n": 1, "judgement": "good", "sentence": "So."}
    with pytest.raises(InputError):
        Finding("a", "health", **(good | wrong))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("interval", "limits", "expected"),
    [
        ((0.0, 0.04), (0.01, 0.05), "good"),  # even where the value may lie beyond the limit
        ((0.011, 0.2), (0.01, 0.05), "look"),
        ((0.051, 0.2), (0.01, 0.05), "bad"),
        ((0.85, 0.95), (0.9, 0.7), "good"),
        ((0.75, 0.85), (0.9, 0.7), "look"),
        ((0.5, 0.69), (0.9, 0.7), "bad"),
        ((float("nan"), 1.0), (0.9, 0.7), "not judged"),
        ((0.05, 0.05), (0.05, 0.05), "good"),
        ((0.06, 0.07), (0.05, 0.05), "bad"),
        ((0.0, 0.79), (0.01, 0.05), "not judged"),  # none of one picture: from good to bad, anything may be true
        ((0.6, 0.95), (0.9, 0.7), "not judged"),
    ],
)
def test_the_better_end_decides(interval: tuple[float, float], limits: tuple[float, float], expected: str) -> None:
    assert judge(interval, look=limits[0], bad=limits[1]) == expected


def test_a_network_that_returns_no_number_has_no_prediction() -> None:
    logits = np.array([[0.0, np.nan], [np.inf, 0.0], [-np.inf, 3.0]], dtype=np.float32)
    kept = Kept.of(logits, labels=[0, 0, 1])
    assert kept.predictions.tolist() == [-1, -1, 1]
    assert kept.right.tolist() == [False, False, True]
    assert np.isnan(kept.confidence[:2]).all()
    assert kept.confidence[2] == 1


def test_probabilities_are_the_softmax_of_large_logits_too() -> None:
    logits = np.array([[1000.0, 999.0], [-1000.0, -1001.0]], dtype=np.float32)
    expected = 1 / (1 + np.exp(-1.0))
    np.testing.assert_allclose(Kept.of(logits).probabilities[:, 0], expected, rtol=1e-6)


def test_rows_are_taken_from_every_column() -> None:
    rng = np.random.default_rng(0)
    kept = Kept.of(rng.normal(size=(5, 3)), labels=[0, 1, 2, 0, 1], features=rng.normal(size=(5, 4)), hue=np.arange(5))
    some = kept.take(np.array([True, False, False, True, False]))
    assert some.ids == ("0", "3")
    assert some.properties["hue"].tolist() == [0, 3]
    np.testing.assert_array_equal(some.features, kept.features[[0, 3]])
    np.testing.assert_array_equal(some.digests, kept.digests[[0, 3]])


def test_pictures_made_up_look_like_no_other() -> None:
    kept = Kept.of(np.zeros((2000, 2)))
    assert len(set(kept.hashes.tolist())) == 2000
    distances = np.bitwise_count(kept.hashes[:, None] ^ kept.hashes[None, :]) + 64 * np.eye(2000, dtype=np.uint8)
    assert distances.min() > 7


def test_columns_of_another_length_are_refused() -> None:
    with pytest.raises(DataError, match="labels"):
        Kept.of(np.zeros((3, 2)), labels=[0, 1])


def test_what_is_at_hand() -> None:
    logits, features = np.eye(3), np.ones((3, 4))
    head = LinearHead(np.ones((3, 4), np.float32), np.zeros(3, np.float32))
    assert Examined.of(Kept.of(logits)).has == frozenset()
    assert Examined.of(Kept.of(logits, labels=[0, 1, -1])).has == frozenset()
    full = Kept.of(logits, labels=[0, 1, 2], features=features, head=head)
    assert Examined.of(full, train=full, against=full).has == {"labels", "features", "head", "train", "against"}
