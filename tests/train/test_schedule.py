"""Learning rates by step."""

from __future__ import annotations

import math

import pytest

from backlight.train.recipe import Recipe
from backlight.train.schedule import rate


@pytest.mark.parametrize("schedule", ["constant", "cosine", "linear", "triangle"])
def test_rates_rise_fall_and_never_leave_the_range(schedule: str) -> None:
    recipe = Recipe(schedule=schedule, lr=2.0, warmup=0.2, final=0.1)
    rates = [rate(recipe, step, 50) for step in range(50)]
    assert max(rates) == 2.0 == rates[9]
    assert all(low < high for low, high in zip(rates[:9], rates[1:10]))
    assert all(high >= low >= 0.2 for high, low in zip(rates[10:], rates[11:]))
    assert rates[0] == pytest.approx(2 * (0.2 + 0.8 / 10) if schedule == "triangle" else 0.2)
    assert rates[30] == pytest.approx(
        {"constant": 2.0, "cosine": 0.2 + 1.8 * (1 + math.cos(math.pi / 2)) / 2}.get(schedule, 0.2 + 1.8 * 0.5)
    )
