"""calibrate and export: what a finished run is handed on with."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from backlight import load
from backlight.data import load_data
from backlight.evaluate.temperature import read_temperature
from backlight.tasks.exporting import Deployed
from backlight.train import fit
from backlight.train.recipe import Recipe
from backlight.train.runtime import Runtime
from backlight.train.start import start_classifier
from tests.cli.running import CommandLine
from tests.data.samples import write_folder

SHAPES = "shapes:n=120,size=16,classes=3"
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train for one epoch."""
    train, val = (load_data(SHAPES, split=part) for part in ("train", "val"))
    folder = tmp_path_factory.mktemp("runs") / "first run"
    start = start_classifier("classic_cnn", train, seed=0)
    fit(start, train, val, folder, recipe=Recipe(epochs=1), runtime=Runtime("float32", "contiguous", tensorboard=False))
    return folder


def test_calibration_is_found_on_val_kept_and_used(backlight: CommandLine, run: Path, tmp_path: Path) -> None:
    found = backlight("calibrate", run, "--json", "--force").json
    assert found["own_val"] is True
    assert found["n"] == 12
    assert found["temperature"] == json.loads((run / "calibration.json").read_text())["temperature"]
    assert found["loss_after"] <= found["loss_before"]
    assert [one["coverage"] for one in found["coverage"]][-1] == 1.0

    plain, used = (
        backlight("evaluate", "--model", run, "--data", SHAPES, "--split", "val", "--json", "--out", out, *more).json
        for out, more in ((tmp_path / "1", ()), (tmp_path / "2", ("--calibrated",)))
    )
    assert plain["loss"] == pytest.approx(found["loss_before"], abs=1e-5)
    assert used["loss"] == pytest.approx(found["loss_after"], abs=1e-5)
    assert used["ece"] == pytest.approx(found["ece_after"], abs=1e-5)
    assert used["accuracy"] == plain["accuracy"]


def test_the_text_says_both_errors_and_how_to_use_it(backlight: CommandLine, run: Path) -> None:
    ran = backlight("calibrate", run, "--force")
    assert ran.status == 0
    assert "before" in ran.out
    assert "after" in ran.out
    assert shlex.join(["backlight", "evaluate", "--model", str(run), "--data", SHAPES, "--calibrated"]) in ran.out
    assert f"'{run}'" in ran.out  # its folder has a space in its name
    again = backlight("calibrate", run)
    assert again.status == 2
    assert "--force" in again.err


def test_other_pictures_than_the_runs_own_are_told(backlight: CommandLine, run: Path) -> None:
    ran = backlight("calibrate", run, "--data", "shapes:n=120,size=16,classes=3,seed=5", "--force", "--json")
    assert ran.status == 0
    assert ran.json["own_val"] is False
    known = json.loads((run / "run.json").read_text())
    changed = known | {"data": {**known["data"], "val": "0" * 32}}
    (run / "run.json").write_text(json.dumps(changed))
    ran = backlight("calibrate", run, "--force")
    (run / "run.json").write_text(json.dumps(known))
    assert ran.status == 2
    assert "--data" in ran.err


def test_the_runs_own_pictures_are_known_again_resized_and_without_broken_ones(
    backlight: CommandLine, tmp_path: Path
) -> None:
    for part in ("train", "val"):
        write_folder(tmp_path / "data" / part, {"cat": 4, "dog": 4}, size=20)
    (tmp_path / "data" / "val" / "cat" / "1.png").write_bytes(b"no picture")
    train, val = (load_data(tmp_path / "data", split=part) for part in ("train", "val"))
    start = start_classifier("classic_cnn", train, size=(16, 16))
    quiet = Runtime("float32", "contiguous", tensorboard=False)
    fit(start, train, val, tmp_path / "run", recipe=Recipe(epochs=1), runtime=quiet)
    ran = backlight("calibrate", tmp_path / "run", "--json")
    assert ran.status == 1
    assert "cat/1.png" in ran.err
    assert ran.json["own_val"] is True
    assert ran.json["n"] == 7


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist"),
        ("{}", "temperature is absent"),
        ('{"temperature": 0, "weights": ""}', "above 0"),
        ('{"temperature": NaN, "weights": ""}', "above 0"),
        ('{"temperature": 1.5, "weights": ""}', "other weights"),
    ],
)
def test_temperatures_that_cannot_be_used(
    backlight: CommandLine, run: Path, tmp_path: Path, content: str | None, message: str
) -> None:
    (run / "calibration.json").unlink(missing_ok=True)
    if content is not None:
        (run / "calibration.json").write_text(content)
    ran = backlight("evaluate", "--model", run, "--data", SHAPES, "--calibrated", "--out", tmp_path)
    (run / "calibration.json").unlink(missing_ok=True)
    assert ran.status == 2
    assert message in ran.err


def test_a_temperature_is_for_the_weights_that_it_was_found_for(backlight: CommandLine, run: Path) -> None:
    assert backlight("calibrate", run, "--force").status == 0
    assert read_temperature(run) > 0
    weights = run / "best.safetensors"
    kept = weights.read_bytes()
    weights.write_bytes(kept[:-4] + b"\0\0\0\0")
    with pytest.raises(Exception, match="other weights"):
        read_temperature(run)
    weights.write_bytes(kept)


@pytest.mark.parametrize(("kind", "suffix"), [("onnx", ".onnx"), ("state-dict", ".pt")])
def test_an_exported_file_says_what_the_run_says(
    backlight: CommandLine, run: Path, tmp_path: Path, kind: str, suffix: str
) -> None:
    ran = backlight("export", run, "--format", kind, "--out", tmp_path, "--json")
    path = Path(ran.json["path"])
    assert path == tmp_path / f"first-run{suffix}"
    assert ran.json["pictures"] == 32
    assert 0 <= ran.json["difference"] < 1e-4
    classifier = load(str(run))
    images = torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = classifier.logits(images).numpy()
        if kind == "onnx":
            session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
            found = session.run(None, {"images": images.numpy()})[0]
        else:
            deployed = Deployed(load(str(run)))
            deployed.load_state_dict(torch.load(path, weights_only=True))
            found = deployed(images).numpy()
    assert np.abs(found - expected).max() < 1e-4
    again = backlight("export", run, "--format", kind, "--out", tmp_path)
    assert again.status == 2
    assert "--force" in again.err
    assert "differ by at most" in backlight("export", run, "--format", kind, "--out", tmp_path, "--force").out


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_without_the_extra_it_says_what_to_install(
    backlight: CommandLine, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    ran = backlight("export", run, "--format", "onnx", "--out", tmp_path)
    assert ran.status == 2
    assert "backlight[export]" in ran.err
    assert not list(tmp_path.iterdir())
    assert backlight("export", run, "--format", "state-dict", "--out", tmp_path).status == 0


def test_wrong_runs_and_formats(backlight: CommandLine, tmp_path: Path) -> None:
    assert "state-dict" in backlight("export", tmp_path, "--format", "state_dict").err
    assert backlight("calibrate", tmp_path).status == 2
    (tmp_path / "run.json").write_text('{"format": 99, "versions": {"backlight": "9.9"}}')
    for verb in ("calibrate", "export"):
        ran = backlight(verb, tmp_path)
        assert ran.status == 2
        assert "9.9" in ran.err
