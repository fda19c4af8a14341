"""What an audit is told of its model and its data: labels that features have seen, and columns of lists as slices."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from backlight import Classifier, tasks
from backlight.core.errors import DataError

DATA = "shapes:n=400,size=16,classes=2"


def audited(model: str | Classifier, out: Path, split: str | None = None, **more: Any) -> dict[str, dict[str, Any]]:
    """Run a quick audit and return its findings by name."""
    request = tasks.AuditRequest(tasks.DataRequest(DATA, split), model, depth="quick", pictures=False, out=out, **more)
    return {one["name"]: one for one in tasks.audit(request).document["findings"]}


@pytest.mark.slow
def test_labels_that_a_run_was_trained_on_are_said_to_be_seen(tmp_path: Path) -> None:
    run = tmp_path / "run"
    tasks.train(tasks.TrainRequest(DATA, run, settings=("epochs=1",)))
    told = {split: audited(str(run), tmp_path / split, split)["label_errors"] for split in ("train", "all", "test")}
    assert "seen these labels (the run was trained on them)" in told["train"]["sentence"]
    assert "seen these labels (the run was trained on some of them)" in told["all"]["sentence"]
    assert "seen these labels" not in told["test"]["sentence"]


@pytest.mark.slow
def test_a_column_of_a_list_is_tried_as_slices(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Classifier.from_module(
        nn.Sequential(nn.Flatten(), nn.Linear(768, 2)), size=16, labels=("circle", "square"), name="linear"
    )
    answers = tasks.evaluate(tasks.EvaluateRequest(tasks.DataRequest(DATA), (model,), table=True, out=tmp_path / "e"))
    table = answers.result[0].table if isinstance(answers.result, list | tuple) else answers.result.table
    right = dict(zip(table.ids, (table["label"] == table["prediction"]).tolist()))
    rows = "\n".join(f"{one},{'good' if is_right else 'bad'}" for one, is_right in right.items())
    (tmp_path / "light.csv").write_text(f"id,light\n{rows}\n")
    found = audited(model, tmp_path / "out", slices=(f"{tmp_path}/light.csv:light",))["weak_slices"]
    assert found["judgement"] == "bad"
    assert "light.csv:light = bad" in found["sentence"]
    assert json.loads((tmp_path / "out" / "audit.json").read_text())["request"]["slices"] == [
        f"{tmp_path}/light.csv:light"
    ]
    (tmp_path / "other.csv").write_text("id,light\nnobody,good\n")
    with pytest.raises(DataError, match="no picture has a value"):
        audited(model, tmp_path / "other", slices=(f"{tmp_path}/other.csv:light",))
