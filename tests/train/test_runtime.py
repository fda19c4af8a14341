"""Which precision, memory format and compilation a run uses, and that it keeps to them."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from backlight.classifier import Classifier
from backlight.core.errors import UsageError
from backlight.runs.folder import RunFolder
from backlight.train import fit, runtime
from backlight.train.recipe import Recipe
from backlight.train.runtime import Choice, Runtime, choose
from tests.train.nets import QUIET, network, pictures


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Replace the timing by a table, in which a test says what each candidate takes; what is not there is not timed."""
    table: dict[str, float] = {}

    def seconds(classifier: Classifier, images: torch.Tensor, choice: Choice) -> float:
        return table[str(choice)]

    monkeypatch.setattr(runtime, "_seconds", seconds)
    monkeypatch.setattr(runtime, "_bfloat16_is_faster", lambda device: True)
    return table


def test_nothing_is_timed_unless_asked_for(timed: dict[str, float]) -> None:
    images = torch.rand(2, 3, 8, 8)
    assert choose(network(), images, Runtime()) == Choice("float32", "channels_last")
    assert choose(network(), images, Runtime("bfloat16", "contiguous", "on")) == Choice("bfloat16", "contiguous", True)
    assert choose(network(), torch.empty(2, 3, 8, 8, device="meta"), Runtime()) == Choice("float32", "contiguous")
    flat = Classifier.from_module(nn.Sequential(nn.Flatten(), nn.Linear(192, 3)), size=8)
    assert choose(flat, images, Runtime()) == Choice("float32", "contiguous")


def test_the_faster_precision_is_taken_where_asked_and_both_are_noted(timed: dict[str, float]) -> None:
    images, auto = torch.rand(2, 3, 8, 8), Runtime("auto")
    timed |= {"float32 channels_last": 2.0, "bfloat16 channels_last": 1.0}
    found = choose(network(), images, auto)
    assert found.precision == "bfloat16"
    assert dict(found.seconds) == timed
    timed["float32 channels_last"] = 0.5
    assert choose(network(), images, auto).precision == "float32"
    assert Choice.from_json(found.to_json()) == found


def test_a_resumed_run_keeps_its_choice(tmp_path: Path, timed: dict[str, float]) -> None:
    train, val = pictures(split="train"), pictures(split="val")
    auto = replace(QUIET, precision="auto", memory_format="channels_last")
    timed |= {"float32 channels_last": 1.0, "bfloat16 channels_last": 2.0}
    fit(network(), train, val, tmp_path, recipe=Recipe(epochs=1), runtime=auto)
    timed["float32 channels_last"] = 9.0
    resumed = fit(network(), train, val, tmp_path, resume=True, runtime=auto)
    assert RunFolder(tmp_path).info["probe"]["precision"] == "float32"
    weight = resumed.classifier.module[3].weight
    assert weight.is_contiguous(memory_format=torch.channels_last)


def test_the_weights_of_a_run_do_not_depend_on_how_busy_the_machine_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slow one kind of step down at a time: what a clock would choose by, changes; the weights do not."""
    plain = nn.functional.conv2d

    def run(name: str, slow: Callable[[torch.Tensor], bool]) -> Mapping[str, torch.Tensor]:
        def conv2d(images: torch.Tensor, *rest: Any, **more: Any) -> torch.Tensor:
            if slow(images):
                torch.linalg.svd(torch.ones(60, 60))
            return plain(images, *rest, **more)

        monkeypatch.setattr(nn.functional, "conv2d", conv2d)
        busy = Runtime(save_every=0.0, tensorboard=False)
        train, val = pictures(split="train"), pictures(split="val")
        recipe = Recipe(epochs=1, batch_size=8)
        return fit(network(), train, val, tmp_path / name, recipe=recipe, runtime=busy).classifier.module.state_dict()

    runs = [
        run("channels_last", lambda images: images.is_contiguous(memory_format=torch.channels_last)),
        run("contiguous", lambda images: images.is_contiguous()),
        run("float32", lambda images: not torch.is_autocast_enabled("cpu")),
        run("bfloat16", lambda images: torch.is_autocast_enabled("cpu")),
    ]
    for one in runs[1:]:
        assert all(torch.equal(value, runs[0][name]) for name, value in one.items())


def test_a_network_with_an_auxiliary_head_trains_by_its_logits(tmp_path: Path) -> None:
    """In training mode a named tuple, as GoogLeNet and Inception return it, in evaluation mode a tensor."""

    class Helped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            with torch.random.fork_rng():
                torch.manual_seed(0)
                self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten())
                self.head, self.helper = nn.Linear(144, 3), nn.Linear(144, 3)

        def forward(self, images: torch.Tensor) -> Any:
            features = self.body(images)
            return Helped.Both(self.helper(features), self.head(features)) if self.training else self.head(features)

        Both = namedtuple("Both", "aux logits")

    train, val = pictures(split="train"), pictures(split="val")
    net = Helped()
    start = Classifier.from_module(net, size=8, labels=train.label_names)
    for precision in ("float32", "auto"):
        recipe, settled = Recipe(epochs=1), replace(QUIET, precision=precision)
        found = fit(start, train, val, tmp_path / precision, recipe=recipe, runtime=settled).classifier.module
        assert not torch.equal(found.head.weight, net.head.weight)
        assert torch.equal(found.helper.weight, net.helper.weight)


def test_unknown_ways_are_refused() -> None:
    for wrong in ({"precision": "float16"}, {"memory_format": "nchw"}, {"compile": "auto"}):
        with pytest.raises(UsageError):
            Runtime(**wrong)
