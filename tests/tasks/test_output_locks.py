"""Two runs never write into one folder at once: the second is told who does."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
import torch

from backlight import tasks
from backlight.core.errors import UsageError
from backlight.core.locks import held_folder
from backlight.images import write_png
from backlight.models import load
from backlight.runs.lock import run_lock

DATA = "shapes:n=24,size=16,classes=2"
SHARED = {
    "evaluate": "processes share its blocks, and each writes the same result",
    "predict": "as evaluate",
    "robustness": "as evaluate",
    "explain_data": "as evaluate",
    "corruptions": "as evaluate",
    "transfer": "as evaluate",
    "universal": "as evaluate",
    "certify": "as evaluate",
    "audit": "as evaluate",
    "report": "its page is held, not the folder: tests/tasks/test_tasks.py",
    "train": "the run is held: tests/train/test_lock.py",
}
HELD = {
    "attack": lambda model, pictures, out: tasks.attack(tasks.AttackRequest(pictures, model, "fgsm", out=out)),
    "calibrate": lambda model, pictures, out: tasks.calibrate(tasks.CalibrateRequest(model, DATA, out=out)),
    "denoise": lambda model, pictures, out: tasks.denoise(tasks.DenoiseRequest(pictures, alpha=1.0, out=out)),
    "explain": lambda model, pictures, out: tasks.explain(
        tasks.ExplainRequest(pictures, model, ("saliency",), out=out)
    ),
    "export": lambda model, pictures, out: tasks.export(tasks.ExportRequest(model, "state-dict", out)),
    "fool": lambda model, pictures, out: tasks.fool(tasks.FoolRequest(pictures, "second", model, steps=1, out=out)),
    "inspect_data": lambda model, pictures, out: tasks.inspect_data(tasks.InspectDataRequest(DATA, out)),
    "style": lambda model, pictures, out: tasks.style(
        tasks.StyleRequest(pictures[0], pictures[1:], model, longest=32, steps=1, out=out)
    ),
    "visualize": lambda model, pictures, out: tasks.visualize(
        tasks.VisualizeRequest("class", ("circle",), model, steps=1, out=out)
    ),
}


@pytest.fixture(scope="module")
def model() -> tasks.Model:
    return load("classic_cnn", random=True, size=(32, 32), labels=["circle", "square"], device="cpu")


@pytest.fixture
def pictures(tmp_path: Path) -> tuple[Path, ...]:
    paths = tuple(tmp_path / f"{name}.png" for name in "ab")
    for path in paths:
        write_png(path, torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0)))
    return paths


@pytest.mark.parametrize("verb", HELD)
def test_a_folder_that_another_run_writes_into(
    verb: str, model: tasks.Model, pictures: tuple[Path, ...], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with held_folder(out):
        before = list(out.iterdir())
        with pytest.raises(UsageError, match=f"out is being written into by process {os.getpid()} on .+ since"):
            HELD[verb](model, pictures, out)
        assert list(out.iterdir()) == before
    assert not out.exists()
    outcome = HELD[verb](model, pictures, out)
    assert outcome.files
    assert [path for path in out.iterdir() if path.name.startswith(".")] == []


def test_every_task_that_writes_into_a_folder_is_asked() -> None:
    writing = {
        name
        for name in tasks.__all__
        if inspect.isfunction(task := getattr(tasks, name)) and "out" in _fields_of_its_request(task)
    }
    assert writing == HELD.keys() | SHARED.keys()


def test_a_run_is_not_calibrated_while_it_is_trained(tmp_path: Path) -> None:
    run = tmp_path / "run"
    tasks.train(tasks.TrainRequest("shapes:n=40,size=16,classes=2", run, settings=("epochs=1",)))
    with run_lock(run), pytest.raises(UsageError, match="run is being trained in by process"):
        tasks.calibrate(tasks.CalibrateRequest(run))
    with run_lock(run, "calibrated"), pytest.raises(UsageError, match="run is being calibrated by process"):
        tasks.calibrate(tasks.CalibrateRequest(run))
    assert not (run / "calibration.json").exists()


def _fields_of_its_request(task: Callable[..., object]) -> set[str]:
    request = next(iter(inspect.signature(task, eval_str=True).parameters.values()), None)
    kind = None if request is None else request.annotation
    return {one.name for one in fields(kind)} if is_dataclass(kind) else set()
