"""Calibration by explicit loops and on cases with known answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backlight.core.errors import DataError
from backlight.evaluate.calibration import beyond, coverage_curve, fit_temperature, reliability
from backlight.evaluate.samples import tabulate
from backlight.evaluate.temperature import calibrate
from backlight.table import Table


def _table(confidence: list[float], right: list[bool]) -> Table:
    return Table.of(
        id=range(len(right)), label=[0] * len(right), prediction=[0 if ok else 1 for ok in right], confidence=confidence
    )


def test_ece_by_an_explicit_loop() -> None:
    rng = np.random.default_rng(0)
    confidence, right = rng.random(300), rng.random(300) < 0.6
    expected = 0.0
    for k in range(15):
        low, high = k / 15, (k + 1) / 15
        members = [i for i in range(300) if low <= confidence[i] < high]
        if members:
            gap = abs(np.mean([right[i] for i in members]) - np.mean([confidence[i] for i in members]))
            expected += len(members) / 300 * gap
    assert reliability(_table(confidence.tolist(), right.tolist())).ece == pytest.approx(expected, abs=1e-12)


def test_confidence_of_exactly_one_counts() -> None:
    found = reliability(_table([1.0, 1.0, 1.0, 1.0], [True, True, True, False]))
    assert found.ece == pytest.approx(0.25)
    assert found.counts.tolist() == [0] * 14 + [4]
    assert found.accuracy[14] == pytest.approx(0.75)
    assert np.isnan(found.accuracy[0])


def test_perfect_and_hopeless() -> None:
    assert reliability(_table([1.0] * 5, [True] * 5)).ece == 0
    assert reliability(_table([1.0] * 5, [False] * 5)).ece == 1


def test_confidences_that_are_none() -> None:
    for confidence in ([1.5], [-0.1], [float("nan")], []):
        with pytest.raises(DataError, match="confidences"):
            reliability(_table(confidence, [True] * len(confidence)))


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_temperature_is_found_again(temperature: float) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(20000, 4, generator=generator, dtype=torch.float64)
    labels = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
    assert fit_temperature(logits * temperature, labels) == pytest.approx(temperature, rel=0.06)


def test_the_temperature_is_a_minimum() -> None:
    logits = torch.randn(100, 3, generator=torch.Generator().manual_seed(1)) * 3
    labels = torch.where(torch.arange(100) % 3 == 0, logits.argmin(1), logits.argmax(1))
    best = fit_temperature(logits, labels)
    cooled = [logits.double() / temperature for temperature in (best * 0.98, best, best * 1.02)]
    loss = [float(torch.nn.functional.cross_entropy(one, labels)) for one in cooled]
    assert loss[1] == min(loss)


def test_coverage_treats_equal_confidence_alike() -> None:
    coverage, accuracy = coverage_curve(_table([0.9, 0.5, 0.5, 0.5], [True, False, True, True]))
    assert coverage.tolist() == [0.25, 1, 1, 1]
    assert accuracy.tolist() == [1.0, 0.75, 0.75, 0.75]


def test_a_temperature_at_an_end_of_the_search_is_no_optimum() -> None:
    torch.manual_seed(0)
    labels = torch.randint(0, 4, (200,))
    worse = torch.randn(200, 4) - 2 * torch.nn.functional.one_hot(labels, 4)
    right = 5.0 * torch.nn.functional.one_hot(labels, 4)
    assert "no temperature helps" in beyond(fit_temperature(worse, labels), worse, labels)
    assert "hardly an answer is wrong" in beyond(fit_temperature(right, labels), right, labels)
    sensible = torch.randn(200, 4) + 2 * torch.nn.functional.one_hot(labels, 4)
    assert beyond(fit_temperature(sensible, labels), sensible, labels) == ""
    # Far too large logits that are mostly right are no worse than chance, whatever the bound says.
    assert "as large as" in beyond(fit_temperature(sensible * 1e30, labels), sensible * 1e30, labels)
    for same in (torch.zeros(200, 4), sensible * 1e-30, labels[:, None].expand(-1, 4) * 1.0):
        assert fit_temperature(same, labels) == 1.0
        assert "the same at every temperature" in beyond(1.0, same, labels)
    told = calibrate(tabulate([str(row) for row in range(200)], labels, worse)).to_json()
    assert "beyond the bound of 100" in told["note"]


def test_logits_near_the_largest_float_are_calibrated_without_overflow() -> None:
    logits = torch.tensor([[3e38, -3e38], [2e38, 3e38], [-torch.inf, 1.0], [1.0, -3e38]])
    found = calibrate(tabulate(list("abcd"), torch.tensor([0, 1, 1, 1]), logits))
    assert np.isfinite(found.after["confidence"]).all()
    assert np.isinf(found.after["logits"]).tolist() == [[False] * 2, [False] * 2, [True, False], [False] * 2]


def test_a_model_without_predictions_cannot_be_calibrated() -> None:
    table = tabulate(list("ab"), torch.tensor([0, 1]), torch.full((2, 2), torch.nan))
    with pytest.raises(DataError, match="none of 2 pictures has a finite loss"):
        calibrate(table)
