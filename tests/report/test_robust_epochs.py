"""Robust accuracy over epochs: overfitting is told where it is more than chance, with the epoch to take."""

from __future__ import annotations

import pytest

from backlight.report.robust_epochs import overfitting_words, robust_chart
from backlight.report.training import training_section
from backlight.runs.history import History


def history(*robust: object, **recipe: object) -> History:
    lines = [
        {"epoch": epoch, "loss": 1.0, "accuracy": 0.5, "val_loss": 1.0, "val_accuracy": 0.4 + epoch / 100}
        | ({} if value is None else {"val_pgd": value})
        for epoch, value in enumerate(robust, 1)
    ]
    return History("run", {"recipe": {"select": "accuracy", **recipe}}, tuple(lines))


def test_a_fall_that_is_more_than_chance_is_overfitting() -> None:
    words = overfitting_words(history(0.2, 0.45, 0.4, 0.25))
    assert words.startswith("Robust overfitting: 45% withstand PGD after epoch 2 and 25% after the last, 4")
    assert "while +2 points were gained without attack" in words
    assert "Take epoch 2, epoch-02.safetensors" in words
    assert "best.safetensors is epoch 4" in words  # by its accuracy without attack


@pytest.mark.parametrize(
    ("robust", "recipe", "told"),
    [
        ((0.2, 0.45, 0.43), {}, "may be chance"),
        ((0.2, 0.45, 0.25), {"watched": 20}, "of 20 pictures that may be chance"),
        ((0.2, 0.3), {}, "Nothing was lost again"),
        ((None, None), {}, ""),
        (("0.4", float("nan"), 7.0), {}, ""),
        ((0.5, 0.1), {"watched": "many"}, "Robust overfitting"),
    ],
)
def test_what_is_told_of_other_runs(robust: tuple[object, ...], recipe: dict[str, object], told: str) -> None:
    found = history(*robust, **recipe)
    assert told in overfitting_words(found)
    assert bool(robust_chart(found)) == bool(overfitting_words(found))


def test_the_section_of_a_run_draws_it() -> None:
    html = str(training_section([history(0.2, 0.45, 0.25)]).html)
    assert "Robust overfitting" in html
    assert "under PGD" in html
    assert "Robust overfitting" not in str(training_section([history(None)]).html)
