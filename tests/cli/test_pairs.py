"""Two checkpoints of one network compared, and a network of one's own calibrated, without a factory for each."""

import json
from pathlib import Path

import pytest
import torch

from backlight.models import load
from tests.cli.running import CommandLine

DATA = "shapes:n=60,size=32,classes=3"


@pytest.fixture
def checkpoints(tmp_path: Path) -> list[Path]:
    for seed in (1, 2):
        module = load("classic_cnn", random=True, labels=["a", "b", "c"], seed=seed).module
        torch.save({"state_dict": module.state_dict()}, tmp_path / f"{seed}.ckpt")
    return [tmp_path / "1.ckpt", tmp_path / "2.ckpt"]


def test_each_model_has_its_own_weights(backlight: CommandLine, checkpoints: list[Path], tmp_path: Path) -> None:
    single = []
    for place, file in enumerate(checkpoints):
        ran = backlight(
            "evaluate",
            "--model",
            "classic_cnn",
            "--weights",
            file,
            "--data",
            DATA,
            "--out",
            tmp_path / str(place),
            "--json",
        )
        assert ran.status == 0
        single.append(json.loads(ran.out)["accuracy"])
    first, second = (["--model", "classic_cnn", "--weights", file] for file in checkpoints)
    once = ["--model", "classic_cnn", "--weights", checkpoints[0], "--weights", checkpoints[1]]
    for place, words in enumerate(([*first, *second], once)):
        ran = backlight("evaluate", *words, "--data", DATA, "--out", tmp_path / f"pair{place}", "--json")
        assert ran.status == 0
        document = json.loads(ran.out)
        assert [document["accuracy"], document["second"]["accuracy"]] == single
        assert document["model"]["weights"] != document["second"]["model"]["weights"]


def test_weights_for_one_of_two_models_are_refused(backlight: CommandLine, checkpoints: list[Path]) -> None:
    words = ["--model", "classic_cnn", "--model", "simple_net", "--weights", checkpoints[0]]
    ran = backlight("evaluate", *words, "--data", DATA)
    assert ran.status == 2
    assert "one for each --model" in ran.err


def test_calibrate_takes_any_model(backlight: CommandLine, checkpoints: list[Path], tmp_path: Path) -> None:
    words = ["--weights", checkpoints[0], "--data", DATA, "--mean", "0.5,0.5,0.5", "--std", "0.5,0.5,0.5", "--json"]
    found = []
    for place, named in enumerate((["classic_cnn"], ["--model", "classic_cnn"])):
        ran = backlight("calibrate", *named, *words, "--out", tmp_path / str(place))
        assert ran.status == 0
        found.append(json.loads(ran.out)["temperature"])
        kept = json.loads((tmp_path / str(place) / "calibration.json").read_text())
        assert kept["temperature"] == found[-1]
        assert kept["weights"] == json.loads(ran.out)["model"]["weights"]
    assert found[0] == found[1]
    assert backlight("calibrate", "classic_cnn", "--weights", checkpoints[0]).status == 2
    assert backlight("calibrate", "--data", DATA).status == 2
