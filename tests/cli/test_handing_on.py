"""What leaves for other programs: `--log` and the model card of `export`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.cli.running import CommandLine

SHAPES = "shapes:n=40,size=16,classes=3"
DATA = ["--data", SHAPES, "--quiet"]

FACTORY = """
from backlight import Classifier
from backlight.testing import small_net

def small():
    labels = ["circle", "square", "triangle"]
    return Classifier.from_module(small_net(3), size=16, labels=labels)
"""


@pytest.fixture
def model(tmp_path: Path) -> str:
    path = tmp_path / "factory.py"
    path.write_text(FACTORY, encoding="utf-8")
    return f"{path}:small"


@pytest.fixture
def measured(backlight: CommandLine, model: str, tmp_path: Path) -> Path:
    found = backlight("evaluate", *DATA, "--model", model, "--out", tmp_path / "measured", "--json")
    path = tmp_path / "evaluate.json"
    path.write_text(found.out, encoding="utf-8")
    return path


def test_a_document_says_which_data_it_is_about(measured: Path) -> None:
    about = json.loads(measured.read_text("utf-8"))["data"]
    assert (about["name"], about["split"], about["n"]) == (SHAPES, "all", 40)
    assert about["fingerprint"]


def test_a_card_shows_the_results_of_the_same_weights(
    backlight: CommandLine, model: str, measured: Path, tmp_path: Path
) -> None:
    options = ("--format", "state-dict", "--out", tmp_path / "out")
    found = backlight("export", model, *options, "--card", "--result", measured, "--license", "mit")
    assert found.status == 0
    card = (tmp_path / "out/README.md").read_text("utf-8")
    head = yaml.safe_load(card.split("---\n", 2)[1])
    accuracy = json.loads(measured.read_text("utf-8"))["accuracy"]
    assert head["model-index"][0]["results"][0]["metrics"][0]["value"] == accuracy
    assert f"--data {SHAPES}" in card
    again = backlight("export", model, *options, "--card")
    assert again.status == 2


def test_a_card_refuses_the_results_of_another_model(
    backlight: CommandLine, model: str, measured: Path, tmp_path: Path
) -> None:
    document = json.loads(measured.read_text("utf-8"))
    document["model"]["weights"] = "0123456789abcdef"
    measured.write_text(json.dumps(document), encoding="utf-8")
    options = ("--format", "state-dict", "--out", tmp_path / "out", "--card", "--result", measured)
    found = backlight("export", model, *options)
    assert found.status == 2
    assert "is not about" in found.err
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_numbers_go_to_tensorboard(backlight: CommandLine, model: str, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    where = tmp_path / "board"
    options = ("--model", model, "--out", tmp_path / "out", "--log", f"tensorboard:dir={where}")
    found = backlight("evaluate", *DATA, *options)
    assert found.status == 0
    (folder,) = where.iterdir()
    assert f"tensorboard: {folder}" in found.out
    events = EventAccumulator(str(folder))
    events.Reload()
    assert {"accuracy", "n", "accuracy_interval/low"} <= set(events.Tags()["scalars"])


def test_an_unknown_tracker_is_refused_before_the_work(backlight: CommandLine, model: str, tmp_path: Path) -> None:
    found = backlight("evaluate", *DATA, "--model", model, "--out", tmp_path / "out", "--log", "tensorbord")
    assert found.status == 2
    assert "tensorboard" in found.err
    assert not (tmp_path / "out").exists()


def test_a_tracker_that_fails_loses_nothing(backlight: CommandLine, model: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    options = ("--model", model, "--out", tmp_path / "out", "--log", f"tensorboard:dir={tmp_path / 'file'}")
    found = backlight("evaluate", *DATA, *options, "--json")
    assert found.status == 1
    assert json.loads(found.out)["n"] == 40
    assert "--log tensorboard: tensorboard did not take the result" in found.err
    assert (tmp_path / "out/report.html").exists()


def test_an_entry_for_robustbench_is_written_beside_the_page(
    backlight: CommandLine, model: str, tmp_path: Path
) -> None:
    card = tmp_path / "card.json"
    options = ("--model", model, "--out", tmp_path / "out", "--attack", "fgsm", "--eps", "2/255", "--card", card)
    found = backlight("robustness", *DATA, *options, "--json")
    assert found.status == 0
    entry = json.loads(card.read_text("utf-8"))
    assert (entry["eps"], entry["autoattack_acc"]) == ("2/255", "")
    assert entry["backlight"]["by_attack"] == found.json["by_attack"]
    assert backlight("robustness", *DATA, *options).status == 2
