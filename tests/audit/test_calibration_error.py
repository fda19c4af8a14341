"""Calibration measured against loops, known truth and planted faults; calibrators on pictures they have not seen."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backlight.audit.calibration import check_calibration
from backlight.audit.calibration_error import mass_bins, measure_calibration, width_bins
from backlight.audit.calibrators import (
    CALIBRATORS,
    Isotonic,
    Temperature,
    compare_calibrators,
    fit_isotonic,
    fit_vector_scaling,
    temperature_interval,
)
from backlight.audit.examined import Examined
from backlight.audit.kept import Kept
from backlight.core.errors import BacklightError


def drawn(count: int, classes: int = 4, seed: int = 0, scale: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """Draw logits, and labels as often as their softmax says: a model that is perfectly calibrated."""
    rng = np.random.default_rng(seed)
    logits = scale * rng.normal(size=(count, classes))
    return logits, (softmax(logits).cumsum(1) > rng.random((count, 1))).argmax(1)


def softmax(logits: np.ndarray) -> np.ndarray:
    return torch.from_numpy(logits).softmax(1).numpy()


def error_by_loops(confidence: np.ndarray, right: np.ndarray, places: np.ndarray) -> float:
    found = 0.0
    for place in set(places.tolist()):
        members = [i for i in range(len(places)) if places[i] == place]
        found += len(members) / len(places) * abs(np.mean(confidence[members]) - np.mean(right[members]))
    return found


def test_every_number_by_loops() -> None:
    logits, labels = drawn(300)
    p = softmax(2 * logits)
    found = measure_calibration(p, labels, bins=7)
    confidence, right = p.max(1), p.argmax(1) == labels
    by_width = [min(6, int(c * 7)) for c in confidence]
    by_mass = [sum(c < one for c in confidence) * 7 // 300 for one in confidence]
    assert width_bins(confidence, 7).tolist() == by_width
    assert mass_bins(confidence, 7).tolist() == by_mass
    assert found.ece.value == pytest.approx(error_by_loops(confidence, right, np.array(by_width)))
    assert found.ece_mass.value == pytest.approx(error_by_loops(confidence, right, np.array(by_mass)))
    classwise = [error_by_loops(p[:, c], labels == c, width_bins(p[:, c], 7)) for c in range(4)]
    assert found.classwise == pytest.approx(np.mean(classwise))
    assert found.nll.value == pytest.approx(-np.mean([np.log(p[i, labels[i]]) for i in range(300)]))
    brier = np.mean([sum((p[i, c] - (labels[i] == c)) ** 2 for c in range(4)) for i in range(300)])
    assert found.brier.value == pytest.approx(brier)
    assert found.overconfidence.value == pytest.approx(confidence.mean() - right.mean())


def test_bins_of_equal_mass_hold_equally_many_and_do_not_depend_on_the_order() -> None:
    assert np.bincount(mass_bins(np.random.default_rng(0).random(150), 15)).tolist() == [10] * 15
    logits, labels = drawn(200)
    p = softmax(logits).round(1)
    p /= p.sum(1, keepdims=True)
    order = np.random.default_rng(1).permutation(200)
    one, other = measure_calibration(p, labels), measure_calibration(p[order], labels[order])
    assert one.ece_mass.value == pytest.approx(other.ece_mass.value)


def test_a_calibrated_model_stays_within_its_chance_and_an_overconfident_one_does_not() -> None:
    within = over = 0
    for seed in range(20):
        logits, labels = drawn(500, seed=seed)
        found = measure_calibration(softmax(logits), labels, seed=seed)
        within += found.ece.value <= found.chance.high and found.ece_mass.value <= found.chance_mass.high
        planted = measure_calibration(softmax(2 * logits), labels, seed=seed)
        over += planted.ece.low > planted.chance.high and planted.overconfidence.low > 0
    assert within >= 17
    assert over == 20


def test_the_chance_is_what_labels_drawn_anew_show() -> None:
    logits, _ = drawn(400)
    p = softmax(logits)
    rng = np.random.default_rng(5)
    errors = [measure_calibration(p, (p.cumsum(1) > rng.random((400, 1))).argmax(1)).ece.value for _ in range(60)]
    chance = measure_calibration(p, drawn(400)[1]).chance
    assert chance.mean == pytest.approx(np.mean(errors), rel=0.15)
    assert np.mean(np.array(errors) > chance.high) <= 0.1


def test_intervals_hold_the_value_and_follow_ids_not_order() -> None:
    logits, labels = drawn(300)
    ids = [f"{row}.png" for row in range(300)]
    found = measure_calibration(softmax(logits), labels, ids=ids)
    for one in (found.nll, found.brier, found.ece, found.ece_mass, found.overconfidence):
        assert one.low <= one.value <= one.high
    order = np.random.default_rng(1).permutation(300)
    other = measure_calibration(softmax(logits)[order], labels[order], ids=[ids[row] for row in order])
    assert other.chance.mean == pytest.approx(found.chance.mean)


def test_logits_times_two_are_a_temperature_of_two() -> None:
    logits, labels = drawn(4000, classes=10, scale=2.0)
    best, low, high = temperature_interval(2 * logits, labels)
    assert best == pytest.approx(2, rel=0.03)
    assert low < 2 < high
    found = compare_calibrators(2 * logits, labels)
    assert found.fitted["temperature"].temperature == pytest.approx(2, rel=0.05)
    assert found.chosen != "none"
    assert found.before.ece.low > found.before.chance.high
    for name in ("temperature", "isotonic"):
        assert found.after[name].ece.value < 0.2 * found.before.ece.value
    assert found.after["temperature"].nll.value < found.before.nll.value


def test_where_nothing_helps_none_is_chosen() -> None:
    chosen = [compare_calibrators(*drawn(200, classes=20, seed=seed)).chosen for seed in range(5)]
    assert "vector scaling" not in chosen
    assert "none" in chosen


def test_nothing_of_the_shown_half_is_fitted() -> None:
    logits, labels = drawn(200)
    fitted_on: set[float] = set()

    def spy(scores: np.ndarray, given: np.ndarray) -> Temperature:
        fitted_on.update(scores[:, 0].tolist())
        return Temperature(1.0)

    found = compare_calibrators(logits, labels, calibrators={"spy": spy})
    assert fitted_on.isdisjoint(logits[found.rows, 0].tolist())
    assert len(fitted_on) == len(found.rows) == found.before.n == 100


def test_vector_scaling_finds_the_shift_of_a_class() -> None:
    logits, labels = drawn(20000)
    moved = logits / np.array([1.0, 2.0, 0.5, 1.0]) - np.array([0.0, 1.0, 0.0, -1.0])
    found = fit_vector_scaling(moved, labels)
    assert np.abs(found(moved) - softmax(logits)).mean() < 0.01


def test_isotonic_rises_keeps_sums_and_never_says_never() -> None:
    logits, labels = drawn(500)
    fitted = fit_isotonic(3 * logits, labels)
    assert (np.diff(fitted.values) >= 0).all()
    assert fitted.values.min() > 0
    assert fitted.values.max() < 1
    sure = np.array([[900.0, 0.0, -5.0, 1.0], [0.1, 0.0, 0.0, 0.0]])
    assert fitted(sure).sum(1) == pytest.approx(1)
    assert (fitted(sure)[0] > 0).all()
    assert Isotonic(np.array([0.0, 1.0]), np.array([0.0, 1.0]))(logits) == pytest.approx(softmax(logits))


def test_what_cannot_be_measured_says_why() -> None:
    for logits, labels in ((np.full((30, 2), np.nan), np.zeros(30, int)), (np.zeros((5, 2)), np.zeros(5, int))):
        with pytest.raises(BacklightError, match=r"not finite in 30 rows|at least 20"):
            compare_calibrators(logits, labels)
    with pytest.raises(BacklightError, match="at least 1"):
        measure_calibration(np.ones((1, 1)), np.zeros(1, int), bins=0)
    assert set(CALIBRATORS) == {"temperature", "vector scaling", "isotonic"}


def test_no_temperature_is_advised_that_worsens_what_it_was_not_fitted_on() -> None:
    """Likelihood may ask for a temperature that moves confidence further from accuracy."""
    generator = np.random.default_rng(0)
    n = 400
    # Mostly right at .75; a few are wrong at 1 - 1e-9: they ask for a temperature that makes all others unsure.
    right = generator.random(n) < 0.75
    sure = generator.random(n) < 0.03
    margin = np.where(sure, 20.0, np.log(3.0))
    labels = np.where(right & ~sure, 0, 1)
    logits = np.stack([margin, np.zeros(n)], 1)
    kept = Kept.of(logits, labels=labels)
    compared = compare_calibrators(kept.logits, kept.labels, ids=kept.ids)
    assert compared.fitted["temperature"].temperature > 1.5
    assert compared.after["temperature"].ece.value > compared.before.ece.value
    found = {one.name: one for one in check_calibration(Examined.of(kept))}
    assert not found["temperature"].next
    assert "none is advised" in found["temperature"].sentence
    assert "Set a temperature" not in found["calibration_error"].next  # nor there
    assert "Divide" in next(
        one.next for one in check_calibration(Examined.of(Kept.of(2 * drawn(2000)[0], labels=drawn(2000)[1])))
        if one.name == "temperature"
    )  # fmt: skip


def test_no_temperature_is_found_where_no_answer_is_wrong() -> None:
    """The likelihood rises without end: the last temperature that was tried is no finding."""
    labels = np.arange(200) % 2
    logits = np.where(np.arange(2) == labels[:, None], 1.0, 0.0)
    examined = Examined.of(Kept.of(logits, labels=labels))
    found = {one.name: one for one in check_calibration(examined)}
    assert found["temperature"].judgement == "not judged"
    assert "too few mistakes" in found["temperature"].sentence
    assert "temperature" not in found["calibration_error"].next
    assert not found["calibration_error"].command


@pytest.mark.parametrize(("times", "judgement"), [(1.06, "good"), (1.5, "look"), (2.5, "bad")])
def test_a_temperature_that_nobody_would_notice_is_no_warning(times: float, judgement: str) -> None:
    logits, labels = drawn(20_000, classes=10, scale=2.0)
    found = {one.name: one for one in check_calibration(Examined.of(Kept.of(times * logits, labels=labels)))}
    low, high = found["temperature"].interval or (0.0, 0.0)
    assert low <= times <= high
    if times < 1.5:
        assert low > 1  # it is not chance, only slight
    assert found["temperature"].judgement == judgement
