"""evaluate with a network of fixed weights: what it says, and about which data it says it."""

from __future__ import annotations

import itertools
import shlex
from pathlib import Path

import pytest

from backlight.sweep import cost
from backlight.sweep.parts import FolderParts
from backlight.table import Table
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

def sure():
    classifier = build(3, ["triangle", "circle", "square"])
    classifier.module[-1].weight.data *= 300
    return classifier
"""


@pytest.fixture
def model(tmp_path: Path) -> str:
    """Give the specification of a network that knows circles, squares and triangles, of 16 x 16 pixels."""
    (tmp_path / "nets.py").write_text(FACTORY)
    return f"{tmp_path / 'nets.py'}:shapes"


def test_classes_without_pictures_are_not_listed(backlight: CommandLine, model: str, tmp_path: Path) -> None:
    ran = backlight("evaluate", "--model", model, "--data", SHAPES, "--limit", 2, "--out", tmp_path / "out")
    assert ran.status == 0, ran.err
    after = ran.out.split("classes, smallest shares first\n")[1].splitlines()
    worst = list(itertools.takewhile(lambda line: line.startswith("    "), after))
    assert "None" not in "".join(worst)
    assert 1 <= len(worst) <= 2


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
    assert found["n"] == 60
    robust = backlight("robustness", *words, "--attack", "fgsm", "--out", tmp_path / "robust")
    assert robust.json["clean_accuracy"] == found["accuracy"]
    explained = backlight("explain", *words, "--methods", "saliency", "--out", tmp_path / "explained")
    assert explained.json["n"] == 60


def test_single_pictures_are_told_in_the_document_and_the_text(
    backlight: CommandLine, model: str, tmp_path: Path
) -> None:
    words = ("--data", SHAPES, "--split", "all", "--table", "--model", model.replace(":shapes", ":sure"))
    found = backlight("evaluate", *words, "--out", tmp_path / "out", "--json").json
    rows = Table.read(tmp_path / "out" / "samples.parquet").rows()
    wrong = [row for row in rows if row["label"] != row["prediction"] and row["confidence"] >= 0.9]
    for key, expected in (("top_losses", rows), ("suspected_label_errors", wrong)):
        worst = sorted(expected, key=lambda row: (-row["loss"], row["id"]))[:10]
        assert len(worst) == 10
        assert [one["id"] for one in found[key]] == [row["id"] for row in worst]
        for one, row in zip(found[key], worst):
            assert one["label"] == found["labels"][row["label"]]
            assert one["prediction"] == found["labels"][row["prediction"]]
            assert (one["confidence"], one["loss"]) == pytest.approx((row["confidence"], row["loss"]))
    text = backlight("evaluate", *words, "--out", tmp_path / "text").out
    losses, suspects = text.split("highest losses")[1].split("labels that may be wrong")
    for part, key in ((losses, "top_losses"), (suspects, "suspected_label_errors")):
        assert [line.split()[1] for line in part.strip().splitlines()[:10]] == [one["id"] for one in found[key]]


def test_slices_of_both_models(backlight: CommandLine, model: str, tmp_path: Path) -> None:
    rows = "".join(f"{row},{'day' if row % 2 else 'night'}\n" for row in range(60))
    (tmp_path / "when.csv").write_text("id,when\n" + rows)
    both = ("--model", model, "--model", model.replace(":shapes", ":sure"))
    words = ("--data", SHAPES, "--split", "all", "--slice", f"{tmp_path / 'when.csv'}:when")
    found = backlight("evaluate", *both, *words, "--out", tmp_path / "out", "--json").json
    alone = backlight("evaluate", *both[2:], *words, "--out", tmp_path / "alone", "--json").json
    assert {one["n"] for one in found["slices"]} == {30}
    assert found["second"]["slices"] == alone["slices"] != found["slices"]
    text = backlight("evaluate", *both, *words, "--out", tmp_path / "text").out
    assert text.count("day  (30 pictures)") == text.count("night  (30 pictures)") == 2


def test_interrupted_it_says_what_resumes_and_goes_on_from_finished_blocks(
    backlight: CommandLine, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cost, "SECONDS", 1e-9)  # blocks of as few pictures as keep a core busy
    write, written = FolderParts.write, []

    def write_and_interrupt(*things: object) -> None:
        write(*things)  # type: ignore[arg-type]
        written.append(1)
        if len(written) == 1:
            raise KeyboardInterrupt

    words = ["evaluate", "--model", model, "--data", SHAPES, "--split", "all", "--json"]
    whole = backlight(*words, "--out", tmp_path / "whole").json
    monkeypatch.setattr(FolderParts, "write", write_and_interrupt)
    ran = backlight(*words, "--out", tmp_path / "out")
    assert ran.status == 130
    command = next(line for line in ran.err.splitlines() if line.startswith("resume with: "))
    refused = backlight(*words, "--out", tmp_path / "out")
    assert refused.status == 2
    assert "--resume" in refused.err
    resumed = backlight(*shlex.split(command.removeprefix("resume with: "))[1:])
    assert resumed.status == 0
    assert len(written) == 2  # blocks of 32 and 28 pictures, each worked on once
    same = ("n", "accuracy", "loss", "confusion", "top_losses")
    assert [resumed.json[name] for name in same] == [whole[name] for name in same]
