"""Metrics of evaluations by name, of one's own, and through the command line's document."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backlight.core.errors import InputError, UsageError
from backlight.evaluate.registry import EVALUATION_METRICS, EvaluationMetric, measure
from backlight.table import Table
from tests.cli.running import CommandLine

LOGITS = np.array([[2.0, 0.0, 1.0], [0.0, 1.0, 3.0], [1.0, 0.5, 0.0], [0.0, 0.0, 4.0]])
LABELS = [0, 2, 1, 2]


def table() -> Table:
    shares = np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)
    losses = -np.log(shares[range(4), LABELS])
    columns = {"label": LABELS, "prediction": LOGITS.argmax(1).tolist(), "confidence": shares.max(1).tolist()}
    return Table.of(id=list("abcd"), loss=losses.tolist(), logits=LOGITS.tolist(), **columns)


def brier(samples: Table, labels: tuple[str, ...]) -> float:
    """Return the mean squared distance of probabilities and the label (Brier 1950)."""
    shares = np.exp(samples["logits"]) / np.exp(samples["logits"]).sum(1, keepdims=True)
    return float(((shares - np.eye(len(labels))[samples["label"]]) ** 2).sum(1).mean())


def test_every_built_in_metric_by_hand() -> None:
    found = measure(table(), ("x", "y", "z"), list(EVALUATION_METRICS.built_in))
    assert found["accuracy"] == 0.75
    assert found["balanced_accuracy"] == pytest.approx((1 + 0 + 1) / 3)
    assert found["macro_f1"] == pytest.approx((2 / 3 + 0 + 1) / 3)
    assert found["top5"] == 1
    assert found["loss"] == pytest.approx(float(np.mean(table()["loss"])))
    assert 0 < found["ece"] < 1


def test_a_function_a_card_and_wrong_ones() -> None:
    found = measure(table(), ("x", "y", "z"), [brier, EvaluationMetric("score", brier, "lower")])
    assert found["brier"] == found["score"] > 0
    with pytest.raises(InputError, match="the metric lambda returned NoneType"):
        measure(table(), ("x", "y", "z"), [lambda samples, labels: None])
    with pytest.raises(UsageError, match="no metric of evaluations 'acuracy'; try: accuracy"):
        measure(table(), ("x", "y", "z"), ["acuracy"])


def test_the_verb_measures_by_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text(
        "def count(table, labels): return len(table)\n"
        "from torch import nn\nfrom backlight import Classifier\n"
        "def net():\n"
        "    layers = nn.Sequential(nn.Flatten(), nn.Linear(768, 2))\n"
        "    return Classifier.from_module(layers, size=16, labels=['circle', 'square'])\n"
    )
    options = (
        "--data",
        "shapes:n=12,size=16,classes=2",
        "--split",
        "all",
        "--model",
        f"{tmp_path}/mine.py:net",
        "--json",
    )
    line = CommandLine(capsys, monkeypatch)
    done = line("evaluate", *options, "--metrics", f"accuracy,{tmp_path}/mine.py:count", "--out", tmp_path / "out")
    assert done.status == 0, done.err
    assert done.json["metrics"] == {"accuracy": done.json["accuracy"], "count": 12}
