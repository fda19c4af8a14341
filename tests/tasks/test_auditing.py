"""What an audit is told of its model and its data: labels that features have seen, and columns of lists as slices."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from backlight import Classifier, tasks
from backlight.audit.commands import DATA as THE_DATA
from backlight.audit.commands import MODEL, PART, CommandWords
from backlight.core.errors import DataError
from tests.cli.conftest import FACTORY
from tests.cli.running import CommandLine

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


COMMANDS = {
    "calibrate": ("calibrating", "calibrate", (MODEL, THE_DATA)),
    "corruptions": ("corrupting", "corruptions", (MODEL, THE_DATA, PART, "--stability")),
    "robustness": ("attacking_data", "robustness", (MODEL, THE_DATA, PART, "--attack", "autoattack")),
    "report": ("reporting", "report", (MODEL, THE_DATA)),
}


@pytest.mark.parametrize("verb", COMMANDS)
def test_commands_to_copy_ask_for_the_same_model_and_data(
    verb: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    module, function, words = COMMANDS[verb]
    model = tasks.ModelRequest(
        "timm:a b", weights=Path("it's/best $x.pth"), mean=(0.5, 0.4, 0.3), std=0.25, size=(32, 24), crop="0.875",
        memory_format="channels_last", random=True,
    )  # fmt: skip
    data = tasks.DataRequest("my photos/;rm", "val", sample=7, follow_links=True)
    seen: list[Any] = []

    def task(request: Any, **_: Any) -> tasks.Outcome:
        seen.append(request)
        return tasks.Outcome()

    monkeypatch.setattr(f"backlight.tasks.{module}.{function}", task)
    line = CommandWords(model.words, ("--data", str(data.data)), data.part_words, "out put").command(verb, *words)
    program, *arguments = shlex.split(line)
    assert program == "backlight"
    assert CommandLine(capsys, monkeypatch)(*arguments).status == 0
    asked = seen[0]
    assert asked.model == model
    wanted = data if PART in words else data.name
    assert asked.data in (wanted, tasks.DataRequest(data.name))
    assert asked.out == Path("out put", verb)


@pytest.mark.slow
def test_next_steps_name_what_was_audited(tmp_path: Path) -> None:
    folder = tmp_path / "a b's"
    folder.mkdir()
    (folder / "net.py").write_text(FACTORY.replace("<script>alert(1)</script>", "circle").replace("cat", "square"))
    model, data = f"{folder}/net.py:small", tasks.DataRequest("shapes:n=60,size=16,classes=2")
    request = tasks.AuditRequest(data, model, pictures=False, out=tmp_path / "out")
    found = tasks.audit(request).document["findings"]
    commands = {one["name"]: shlex.split(one["command"]) for one in found if one["command"]}
    assert {"corruption_accuracy", "smallest_change"} <= set(commands)
    for words in commands.values():
        assert words[words.index("--model") + 1] == model
        assert words[words.index("--data") + 1] == data.data
    assert not any(word in one["next"] for one in found for word in ("MODEL", "DATA"))
    assert all(one["command"] in (tmp_path / "out" / "report.html").read_text() for one in found if not one["command"])
    loaded = tasks.AuditRequest(data, tasks.ModelRequest(model).load(), pictures=False, out=tmp_path / "loaded")
    assert not any(one["command"] for one in tasks.audit(loaded).document["findings"])


def test_a_single_picture_proves_nothing(tmp_path: Path) -> None:
    data = tasks.DataRequest("shapes:n=60,size=16,classes=2", limit=1)
    (tmp_path / "net.py").write_text(FACTORY.replace("<script>alert(1)</script>", "circle").replace("cat", "square"))
    request = tasks.AuditRequest(data, f"{tmp_path}/net.py:small", pictures=False, out=tmp_path / "out")
    outcome = tasks.audit(request)
    judged = {one["name"] for one in outcome.document["findings"] if one["judgement"] != "not judged"}
    assert not judged
    assert outcome.lines[1] == "nothing could be judged"
    assert set(outcome.document["lights"].values()) == {"not judged"}
