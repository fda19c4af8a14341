"""evaluate with a network of fixed weights: what it says, and about which data it says it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.running import CommandLine
from tests.data.samples import write_folder

SHAPES = "shapes:n=60,size=16,classes=3"
FACTORY = """
import torch
from torch import nn
from backlight import Classifier

def build(channels, labels):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(channels, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(784, 3))
    return Classifier.from_module(net, mean=[0.5] * channels, std=1.0, size=16, labels=labels)

def shapes():
    return build(3, ["circle", "square", "triangle"])

def grey():
    return build(1, ["circle", "square", "triangle"])
"""


@pytest.fixture
def model(tmp_path: Path) -> str:
    """Give the specification of a network that knows circles, squares and triangles, of 16 x 16 pixels."""
    (tmp_path / "nets.py").write_text(FACTORY)
    return f"{tmp_path / 'nets.py'}:shapes"


def test_classes_without_pictures_are_no_worst_classes(backlight: CommandLine, model: str, tmp_path: Path) -> None:
    ran = backlight("evaluate", "--model", model, "--data", SHAPES, "--limit", 2, "--out", tmp_path / "out")
    assert ran.status == 0, ran.err
    worst = ran.out.split("worst classes")[1].split("most confused")[0]
    assert "None" not in worst
    assert 1 <= len(worst.strip().splitlines()) <= 2


def test_a_folder_with_some_of_the_classes_is_matched_by_name(
    backlight: CommandLine, model: str, tmp_path: Path
) -> None:
    write_folder(tmp_path / "some", {"triangle": 2, "circle": 3}, size=16)
    words = ("--data", tmp_path / "some", "--split", "all", "--model", model, "--json")
    found = backlight("evaluate", *words, "--out", tmp_path / "out").json
    assert found["labels"] == ["circle", "square", "triangle"]
    assert [one["n"] for one in found["per_class"].values()] == [3, 0, 2]
    robust = backlight("robustness", *words, "--attack", "fgsm", "--out", tmp_path / "robust")
    assert robust.status == 0, robust.err
    assert robust.json["clean_accuracy"] == found["accuracy"]
    explained = backlight("explain", *words, "--methods", "saliency", "--out", tmp_path / "explained")
    assert explained.status == 0, explained.err
    write_folder(tmp_path / "some", {"owl": 1}, size=16)
    unknown = backlight("evaluate", *words, "--out", tmp_path / "other")
    assert unknown.status == 2
    assert "owl" in unknown.err


def test_a_model_of_one_channel_sees_grey(backlight: CommandLine, model: str, tmp_path: Path) -> None:
    words = ("--data", SHAPES, "--model", model.replace(":shapes", ":grey"), "--json")
    found = backlight("evaluate", *words, "--out", tmp_path / "out").json
    assert found["n"] == 6
    robust = backlight("robustness", *words, "--attack", "fgsm", "--out", tmp_path / "robust")
    assert robust.json["clean_accuracy"] == found["accuracy"]
    explained = backlight("explain", *words, "--methods", "saliency", "--out", tmp_path / "explained")
    assert explained.json["n"] == 6
