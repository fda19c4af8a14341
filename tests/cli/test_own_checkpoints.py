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
def saved(saved_once: Path, tmp_path: Path) -> dict[str, Path]:
    return {file.name: Path(shutil.copy(file, tmp_path)) for file in saved_once.iterdir()}


@pytest.fixture(scope="module")
def saved_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
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
        torch.save(thing, folder / name)
    return folder


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


def test_a_temperature_is_found_where_calibrate_left_it(
    backlight: CommandLine, messy: Path, saved: dict[str, Path], tmp_path: Path
) -> None:
    words = ["--model", "torchvision:resnet18", "--weights", saved["plain.pth"], "--size", 32, "--data", messy]
    ran = backlight("evaluate", *words, "--calibrated", "--out", tmp_path / "out")
    assert ran.status == 2
    assert "calibration.json: does not exist" in ran.err
    assert f"try: backlight calibrate MODEL --out {tmp_path / 'out'}" in ran.err
    left = backlight("calibrate", *words, "--out", tmp_path / "out", "--json")
    assert "--calibrated --out" in backlight("calibrate", *words, "--out", tmp_path / "out", "--force").out
    for out in (tmp_path / "out", tmp_path / "other"):
        # Found in --out, then beside the weights.
        found = backlight("evaluate", *words, "--calibrated", "--out", out, "--json")
        assert found.json["loss"] == pytest.approx(left.json["loss_after"], abs=1e-5)
        shutil.copy(tmp_path / "out" / "calibration.json", tmp_path)
    other = [*words[:3], tmp_path / "other.pth", *words[4:]]
    torch.save(find_blueprint("torchvision:resnet18", 4).build(ModelShape(classes=3)).state_dict(), other[3])
    ran = backlight("evaluate", *other, "--calibrated", "--out", tmp_path / "third")
    assert ran.status == 2
    assert "was found for other weights" in ran.err


def test_predict_says_the_true_class_where_files_lie_in_folders_of_classes(
    backlight: CommandLine, messy: Path, saved: dict[str, Path], tmp_path: Path
) -> None:
    names = tmp_path / "names.txt"
    names.write_text("\n".join(CLASSES))
    words = ["--model", "torchvision:resnet18", "--weights", saved["plain.pth"], "--size", 32, "--labels", names]
    ran = backlight("predict", messy, *words, "--json")
    found = [one for one in ran.json if "error" not in one]
    assert [one["true"] for one in found] == [Path(one["path"]).parent.name for one in found]
    assert set(CLASSES) == {one["true"] for one in found}
    assert "  (true: dog)" in backlight("predict", messy / "dog", *words).out
    shutil.copy(messy / "dog" / "0.png", tmp_path / "alone.png")
    ran = backlight("predict", messy, tmp_path / "alone.png", *words, "--json")
    assert not any("true" in one for one in ran.json)


def test_a_single_number_is_the_mean_of_every_channel(
    backlight: CommandLine, messy: Path, saved: dict[str, Path]
) -> None:
    words = ["predict", messy / "dog" / "0.png", "--model", "torchvision:resnet18", "--weights", saved["plain.pth"]]
    one = backlight(*words, "--size", 32, "--mean", "0.5", "--std", "0.25", "--json")
    three = backlight(*words, "--size", 32, "--mean", "0.5,0.5,0.5", "--std", "0.25,0.25,0.25", "--json")
    assert one.status == 0, one.err
    assert one.json == three.json


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
