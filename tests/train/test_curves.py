"""Curves of one run and of several over one another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from backlight.core.errors import InputError
from backlight.train.curves import draw_curves


def epochs(loss: float) -> list[dict[str, Any]]:
    step = {"kind": "step", "step": 1, "epoch": 1, "loss": 9.0}
    lines = [
        {"kind": "epoch", "step": 10 * epoch, "epoch": epoch, "loss": loss / epoch, "accuracy": 0.1 * epoch}
        | {"top5": 0.3 * epoch, "val_loss": loss, "val_accuracy": 0.2 * epoch, "val_top5": 0.25 * epoch}
        for epoch in (1, 2)
    ]
    return [step, *lines]


def test_two_runs_lie_over_one_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn, real = list[Figure](), Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *_, **more: (drawn.append(self), real(self, *_, **more))[1])
    old = [{name: value for name, value in line.items() if name != "top5"} for line in epochs(2.0)]
    draw_curves({"first": epochs(1.0), "_second$": old}, tmp_path / "both.svg")
    loss, _, top5 = drawn[0].axes
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["first", r"second\$"]
    shown = [list(line.get_ydata()) for line in loss.lines]
    assert shown == [[1.0, 1.0], [1.0, 0.5], [2.0, 2.0], [2.0, 1.0]]
    # An older log does not tell of the training pictures' top-5.
    assert [list(line.get_ydata()) for line in top5.lines] == [[0.25, 0.5], [0.3, 0.6], [0.25, 0.5]]
    with pytest.raises(InputError):
        draw_curves({}, tmp_path / "none.png")
