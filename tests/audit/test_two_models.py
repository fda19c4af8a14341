"""Two models on the same pictures: closed forms, planted differences, nothing where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from backlight.audit import Examined, Kept, compare_models, run_checks
from backlight.audit.registry import CHECKS
from backlight.audit.two_models import clear
from backlight.core.errors import DataError

NAMES = ("cat", "dog", "owl")
DRAW = np.random.default_rng(0)
LABELS = np.arange(600) % 3
BRIGHTNESS = DRAW.uniform(size=600)


def said(right: np.ndarray, *, sharp: float = 3.0, **more: object) -> Kept:
    """Give what is kept of a model that is right on these pictures and takes the next class for the others."""
    predictions = np.where(right, LABELS, (LABELS + 1) % 3)
    logits = sharp * np.eye(3)[predictions]
    return Kept.of(logits, labels=LABELS, label_names=NAMES, brightness=BRIGHTNESS, **more)  # type: ignore[arg-type]


BASE = DRAW.uniform(size=600) < 0.8


def test_the_numbers_are_those_of_the_pairs() -> None:
    better = BASE.copy()
    better[np.flatnonzero(~BASE)[:30]] = True
    better[np.flatnonzero(BASE)[:6]] = False
    found = compare_models(said(BASE), said(better)).accuracy
    assert found.difference == pytest.approx(24 / 600)
    # 6 of 36 pictures that differ, both tails of fair coins.
    tail = sum(np.prod([(36 - j) / (j + 1) for j in range(k)]) for k in range(7)) / 2.0**36
    assert found.p == pytest.approx(2 * tail)
    assert found.interval[0] > 0


def test_order_of_pictures_and_of_classes_does_not_matter() -> None:
    better = BASE | (LABELS == 1)
    first, second = said(BASE), said(better)
    expected = compare_models(first, second)
    order = DRAW.permutation(600)
    swapped = second.take(order)
    renamed = Kept.of(
        swapped.logits[:, [1, 2, 0]], labels=(swapped.labels + 2) % 3, label_names=("dog", "owl", "cat"),
        ids=swapped.ids, brightness=swapped.properties["brightness"],
    )  # fmt: skip
    found = compare_models(first, renamed)
    assert found.accuracy == expected.accuracy
    assert found.classes == expected.classes
    assert found.calibration is not None
    assert expected.calibration is not None
    assert found.calibration.interval == pytest.approx(expected.calibration.interval)


def test_a_class_and_a_kind_where_the_second_fails_are_named_and_no_other() -> None:
    worse = BASE & ~((LABELS == 2) & (BRIGHTNESS < 1 / 3))
    found = compare_models(said(BASE), said(worse))
    assert [one.name for one in clear(found.classes)] == ["owl"]
    assert [one.name for one in clear(found.kinds)] == ["brightness: lowest third"]
    findings = run_checks(Examined.of(said(BASE), second=said(worse)), [CHECKS["two_models"]]).findings
    told = {one.name: one for one in findings}
    assert told["second_model_accuracy"].judgement == "look"
    assert "owl" in told["second_model_classes"].sentence
    assert told["second_model_calibration"].judgement == "look"
    shown = told["second_model_accuracy"].pictures
    assert {LABELS[int(one.id)] for one in shown} == {2}
    assert all(one.caption == "only the first is right: owl, then cat" for one in shown)


def test_models_that_differ_by_chance_alone_are_not_told_apart() -> None:
    alarms = 0
    for seed in range(20):
        draw = np.random.default_rng(seed)
        flips = draw.uniform(size=600) < 0.1
        first, second = (np.where(flips, draw.uniform(size=600) < 0.5, BASE) for _ in range(2))
        found = compare_models(said(first.astype(bool)), said(second.astype(bool)))
        alarms += bool(found.accuracy.p < 0.05 or clear(found.classes) or clear(found.kinds))
    assert alarms <= 4


def test_a_second_model_that_boasts_is_found_by_its_calibration_alone() -> None:
    found = compare_models(said(BASE, sharp=2.1), said(BASE, sharp=6.0))
    assert found.accuracy.p == 1.0
    assert found.calibration is not None
    assert found.calibration.interval[0] > 0.05
    same = compare_models(said(BASE), said(BASE)).calibration
    assert same is not None
    assert (same.difference, same.p) == (0.0, 1.0)


def test_without_a_second_model_the_check_says_what_it_needs() -> None:
    (absent,) = run_checks(Examined.of(said(BASE)), [CHECKS["two_models"]]).not_checked
    assert "second model" in absent.why


def test_models_of_other_pictures_are_refused() -> None:
    with pytest.raises(DataError, match="in common"):
        compare_models(said(BASE), said(BASE, ids=[f"other{row}" for row in range(600)]))


def test_pictures_without_a_prediction_are_wrong_and_not_calibrated() -> None:
    broken = said(BASE)
    broken.logits[:300] = np.nan
    found = compare_models(said(BASE), broken)
    assert found.accuracy.second == pytest.approx(BASE[300:].sum() / 600)
    assert found.calibration is not None
    assert found.calibration.n == 300
