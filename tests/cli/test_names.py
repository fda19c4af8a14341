"""Every verb takes pictures, classes, data sets and outputs by whatever names a file system allows."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from backlight.sweep.parts import FolderParts
from tests.cli.hostile_names import CLASSES, NAMES, controls, write_classes, write_pictures
from tests.cli.running import CommandLine, Ran
from tests.cli.test_interrupts import interrupt_after

FACTORY = f"""
import torch
from torch import nn
from backlight import Classifier

def small():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        head = nn.Linear(32, {len(CLASSES)})
        net = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), head)
    return Classifier.from_module(net, size=32, mean=(0.5,) * 3, std=(0.2,) * 3)
"""
PICTURES = {
    "predict": (),
    "explain": ("--methods", "saliency"),
    "attack": ("--method", "fgsm"),
    "fool": ("--target", "index:1", "--steps", "2"),
    "denoise": (),
    "report": ("--no-pictures", "--methods", "saliency"),
    "visualize dream": ("--layer", "0", "--steps", "1"),
    "visualize invert": ("--layer", "0", "--steps", "1"),
}
DATA = {
    "evaluate": ("--table",),
    "explain": ("--methods", "saliency", "--metrics", "deletion"),
    "robustness": ("--attack", "fgsm"),
    "corruptions": ("--kinds", "fog", "--severities", "1"),
    "report": (),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("model") / "factory.py"
    path.write_text(FACTORY)
    return f"{path}:small"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("names") / CLASSES["no UTF-8"])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_classes(tmp_path_factory.mktemp("names") / CLASSES["newline"])


def check(ran: Ran, folder: Path, status: int = 0) -> None:
    """Hold what was said and written against what names may do to it."""
    assert ran.status == status, ran.err
    assert ran.out.encode("utf-8")
    assert controls(ran.err) == set()
    for page in folder.rglob("*.html"):
        text = page.read_bytes().decode("utf-8")
        assert controls(text) <= {"\t", "\u00ad"}, page
        assert "<img src=x" not in text
    for document in folder.rglob("*.json"):
        json.loads(document.read_bytes().decode("utf-8"))


@pytest.mark.parametrize("verb", PICTURES)
def test_pictures_by_any_name(backlight: CommandLine, model: str, pictures: Path, tmp_path: Path, verb: str) -> None:
    out = () if verb == "predict" else ("--out", tmp_path / "out")
    words = (*verb.split(), pictures, *PICTURES[verb], *(() if verb == "denoise" else ("--model", model)), *out)
    said = backlight(*words, "--json")
    check(said, tmp_path)
    if isinstance(said.json, list):
        assert len(said.json) == len(NAMES)
    if verb != "predict":
        words = (*words, "--force")
    ran = backlight(*words)
    check(ran, tmp_path)
    assert controls(ran.out) == set()


@pytest.mark.parametrize("verb", DATA)
def test_classes_and_data_sets_by_any_name(
    backlight: CommandLine, model: str, data: Path, tmp_path: Path, verb: str
) -> None:
    words = (verb, "--data", data, "--model", model, *DATA[verb], "--out", tmp_path / CLASSES["no UTF-8"])
    check(backlight(*words, "--json"), tmp_path)
    ran = backlight(*words, "--force")
    check(ran, tmp_path)
    assert controls(ran.out) == set()


def test_training_on_classes_by_any_name(backlight: CommandLine, data: Path, tmp_path: Path) -> None:
    run, settings = tmp_path / CLASSES["right to left"], ("--epochs", 1, "--model", "simple_net", "--batch-size", 8)
    trained = backlight("train", "--data", data, "--out", run, *settings)
    check(trained, tmp_path)
    assert controls(trained.out) == set()
    for words in (("evaluate", "--model", run), ("calibrate", run), ("export", run)):
        given = () if words[0] == "export" else ("--data", data)
        check(backlight(*words, *given, "--out", tmp_path / words[0] / CLASSES["no UTF-8"], "--json"), tmp_path)
    assert backlight("inspect", "--model", run, "--write-passport", "--force", "--json").status == 0


@pytest.mark.parametrize("target", ["folder", "set.npz", "set.parquet"])
def test_data_by_any_name_is_converted_and_read_again(
    backlight: CommandLine, data: Path, tmp_path: Path, target: str
) -> None:
    check(backlight("data", "convert", data, tmp_path / target, "--json"), tmp_path)
    again = backlight("data", "inspect", tmp_path / target, "--out", tmp_path / "out", "--json")
    check(again, tmp_path)
    assert again.json["n"] == len(NAMES) * 4


@pytest.mark.parametrize("kind", CLASSES)
def test_outputs_by_any_name(backlight: CommandLine, model: str, tmp_path: Path, kind: str) -> None:
    pictures = write_pictures(tmp_path / "pictures", {kind: NAMES[kind]})
    out = tmp_path / CLASSES[kind]
    for words in (("attack", "--method", "fgsm"), ("report", "--no-pictures", "--methods", "saliency")):
        ran = backlight(words[0], pictures, "--model", model, *words[1:], "--out", out / words[0], "--json")
        check(ran, out)
        assert list(out.rglob("*.*")) != []


def test_the_command_that_goes_on_can_be_copied(backlight: CommandLine, tmp_path: Path) -> None:
    out = tmp_path / CLASSES["newline"] / CLASSES["quotes"] / CLASSES["no UTF-8"]
    words = ("evaluate", "--data", "shapes:n=30,size=32,classes=10", "--model", "classic_cnn", "--out", out)
    with pytest.MonkeyPatch.context() as patch:
        interrupt_after(patch, FolderParts, "write", signal.SIGINT)
        said = backlight(*words, "--random").err
    assert "resume with: " in said
    line = next(line for line in said.splitlines() if line.startswith("resume with: "))
    printed = f"printf '%s\\0' {line.removeprefix('resume with: backlight ')}"
    spelled = subprocess.run(["bash", "-c", printed], capture_output=True, check=True).stdout.split(b"\0")[:-1]
    assert [os.fsdecode(word) for word in spelled] == [*map(str, words), "--random", "--resume"]
