"""A network that users trained themselves, saved in any of the usual ways, through the command line alone."""

import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from backlight.models.blueprint import ModelShape
from backlight.models.registry import find_blueprint
from tests.cli.running import CommandLine
from tests.data.samples import write_folder

CLASSES = ("cat", "dog", "owl")


@pytest.fixture
def messy(tmp_path: Path) -> Path:
    """Write class folders as they lie on people's disks."""
    root = tmp_path / "photos"
    write_folder(root, dict.fromkeys(CLASSES, 4), size=32)
    (root / "unsorted").mkdir()
    (root / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (root / "cat" / "Thumbs.db").write_bytes(b"thumbs")
    (root / "readme.txt").write_text("my pictures")
    (root / "dog" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut short")
    return root


@pytest.fixture
def saved(tmp_path: Path) -> dict[str, Path]:
    net = find_blueprint("torchvision:resnet18", 3).build(ModelShape(classes=3)).eval()
    state = net.state_dict()
    lightning = {"state_dict": {f"model.{name}": one for name, one in state.items()}, "epoch": 3, "loops": {}}
    hook = {"optimizer_states": [{"state": {}, "param_groups": []}], "pytorch-lightning_version": "2.4.0"}
    ways = {
        "plain.pth": state,
        "epoch=3-step=40.ckpt": lightning | hook,
        "checkpoint.pth.tar": {"arch": "resnet18", "state_dict": nn.DataParallel(net).state_dict()},
    }
    for name, thing in ways.items():
        torch.save(thing, tmp_path / name)
    return {name: tmp_path / name for name in ways}


def test_one_network_gives_one_answer_however_it_was_saved(
    backlight: CommandLine, messy: Path, saved: dict[str, Path], tmp_path: Path
) -> None:
    clean = tmp_path / "clean"
    shutil.copytree(messy, clean, ignore=lambda folder, names: [name for name in names if name == "broken.jpg"])
    found = []
    for name, file in saved.items():
        words = ["--model", "torchvision:resnet18", "--weights", file, "--size", 32]
        ran = backlight("evaluate", *words, "--data", messy, "--out", tmp_path / f"out-{name}", "--json")
        assert ran.status == 1, ran.err  # one picture is broken, and the others are counted
        assert "broken.jpg" in ran.out + ran.err
        document = ran.json
        assert document["n"] == 12
        assert set(document["per_class"]) == set(CLASSES)
        found.append((document["accuracy"], document["loss"]))
    assert found[1:] == found[:-1]
    ran = backlight("evaluate", *words, "--data", clean, "--out", tmp_path / "clean-out", "--json")
    assert (ran.status, ran.json["accuracy"], ran.json["loss"]) == (0, *found[0])


def test_other_models_than_runs_are_calibrated_on_all_pictures_and_the_broken_one_is_named(
    backlight: CommandLine, messy: Path, saved: dict[str, Path], tmp_path: Path
) -> None:
    words = ["calibrate", "--model", "torchvision:resnet18", "--weights", saved["plain.pth"], "--size", 32]
    ran = backlight(*words, "--data", messy, "--out", tmp_path / "all", "--json")
    assert ran.status == 1
    assert "broken.jpg" in ran.err
    assert "the data has no parts of its own" in ran.err
    assert (ran.json["n"], ran.json["split"]) == (12, "all")
    assert ran.json["model"]["labels"] == list(CLASSES)
    for part in ("train", "val"):
        write_folder(tmp_path / "parts" / part, dict.fromkeys(CLASSES, 2), size=32)
    ran = backlight(*words, "--data", tmp_path / "parts", "--out", tmp_path / "val", "--json")
    assert (ran.status, ran.json["n"], ran.json["split"]) == (0, 6, "val")
    shares = [one["coverage"] for one in ran.json["coverage"]]
    assert shares == sorted(set(shares))


def test_a_temperature_is_asked_of_runs_only(backlight: CommandLine, messy: Path, saved: dict[str, Path]) -> None:
    words = ["--model", "torchvision:resnet18", "--weights", saved["plain.pth"], "--size", 32, "--data", messy]
    ran = backlight("evaluate", *words, "--calibrated")
    assert ran.status == 2
    assert "expected the folder of a run" in ran.err
    assert "try: backlight calibrate torchvision" not in ran.err


def test_two_checkpoints_are_told_apart_by_their_files(
    backlight: CommandLine, messy: Path, saved: dict[str, Path], tmp_path: Path
) -> None:
    words = ["--model", "torchvision:resnet18", "--size", 32, "--data", messy, "--out", tmp_path / "pair"]
    ran = backlight("evaluate", *words, "--weights", saved["plain.pth"], "--weights", saved["checkpoint.pth.tar"])
    assert ran.status == 1, ran.err
    page = (tmp_path / "pair" / "report.html").read_text(encoding="utf-8")
    for number, name in ((1, "plain.pth"), (2, "checkpoint.pth.tar")):
        assert f"model {number}: torchvision:resnet18 ({name})" in ran.out
        assert f"torchvision:resnet18 ({name})" in page
    assert "model 2 minus model 1: +0.00%" in ran.out
