"""Which precision, memory format and compilation a run uses, and that it keeps to them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from backlight.classifier import Classifier
from backlight.errors import UsageError
from backlight.runs.folder import RunFolder
from backlight.train import fit, runtime
from backlight.train.recipe import Recipe
from backlight.train.runtime import Choice, Runtime, choose
from tests.train.nets import QUIET, network, pictures


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Replace the timing by a table, in which a test says what each candidate takes."""
    table = {"float32 contiguous": 3.0, "float32 channels_last": 2.0, "float32 channels_last compiled": 1.0}

    def seconds(classifier: Classifier, images: torch.Tensor, choice: Choice) -> float:
        return table[str(choice)]

    monkeypatch.setattr(runtime, "_seconds", seconds)
    return table


def test_the_fastest_is_taken_and_all_are_noted(timed: dict[str, float]) -> None:
    images = torch.rand(2, 3, 8, 8)
    found = choose(network(), images, Runtime("float32"))
    assert (found.memory_format, found.compile) == ("channels_last", False)
    assert [name for name, _ in found.seconds] == ["float32 contiguous", "float32 channels_last"]
    assert choose(network(), images, Runtime("float32", compile="on")).compile
    timed["float32 contiguous"] = 1.0
    assert choose(network(), images, Runtime("float32")).memory_format == "contiguous"
    assert Choice.from_json(found.to_json()) == found


def test_on_an_accelerator_the_fastest_is_tried_compiled_too(timed: dict[str, float]) -> None:
    images = torch.empty(2, 3, 8, 8, device="meta")
    assert choose(network(), images, Runtime("float32")).compile
    assert not choose(network(), images, Runtime("float32", compile="off")).compile
    timed["float32 channels_last compiled"] = 9.0
    assert not choose(network(), images, Runtime("float32")).compile


def test_a_resumed_run_keeps_its_choice(tmp_path: Path, timed: dict[str, float]) -> None:
    train, val = pictures(split="train"), pictures(split="val")
    auto = replace(QUIET, memory_format="auto")
    fit(network(), train, val, tmp_path, recipe=Recipe(epochs=1), runtime=auto)
    timed["float32 contiguous"] = 0.0
    resumed = fit(network(), train, val, tmp_path, resume=True, runtime=auto)
    assert RunFolder(tmp_path).info["probe"]["memory_format"] == "channels_last"
    weight = resumed.classifier.module[3].weight
    assert weight.is_contiguous(memory_format=torch.channels_last)


def test_unknown_ways_are_refused() -> None:
    for wrong in ({"precision": "float16"}, {"memory_format": "nchw"}, {"compile": "yes"}):
        with pytest.raises(UsageError):
            Runtime(**wrong)
