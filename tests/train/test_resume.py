"""A run that is killed, or that finds no space, goes on as if nothing had happened."""

from __future__ import annotations

import itertools
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backlight.core.errors import DataError, FileError, UsageError
from backlight.core.interrupt import held_interrupt
from backlight.data.dataset import Dataset
from backlight.runs.folder import RunFolder
from backlight.runs.log import Log, read_log
from backlight.train import fit
from backlight.train.batches import TrainingBatch
from backlight.train.recipe import Recipe
from backlight.train.start import start_classifier
from backlight.train.trainer import Outcome, Trainer
from tests.processes import run_processes
from tests.train.nets import QUIET, network, pictures, same, state_of

# In one process that torch was imported into once: whole runs, killed ones in children, and resumed ones.
KILLED = """
import os, resource, signal, sys
from pathlib import Path
from types import SimpleNamespace
import torch
from backlight.train import fit
from backlight.train.recipe import read_recipe
from backlight.train.trainer import Trainer
from tests.train.nets import QUIET, network, pictures

folder = Path({folder!r})
train, val = pictures(split="train"), pictures(split="val")
SETTINGS = {{
    "adamw": ["optimizer=adamw", "ema=0.9", "clip=1", "mixup=0.4", "cutmix=1", "degrees=10", "hue=0.1"],
    "muon": ["optimizer=muon", "lr=0.01", "accumulate=3", "balance=sampling", "layer_decay=0.5", "cutout=3"],
    "hardened": ["adversary=pgd:eps=8/255,steps=2,share=0.7", "optimizer=sgd"],
    "nfgsm": ["adversary=nfgsm:ramp=0.5", "ema=0.9"],
    "trades": ["adversary=trades:steps=2,awp=0.01,awp_start=0.3,ramp=0.4", "swa=0.4"],
    "mart": ["adversary=mart:steps=2", "accumulate=2"],
    "free": ["adversary=free:replays=3", "optimizer=sgd", "ema=0.9"],
    "ibp": ["adversary=ibp:ramp=0.6", "optimizer=adam"],
    "crown-ibp": ["adversary=crown-ibp:ramp=0.6,awp=0.01", "ema=0.9", "accumulate=2"],
}}
real = Trainer.step

def train_on(name, where, **more):
    recipe = read_recipe("default", ["epochs=2", "batch_size=9", *SETTINGS[name]])
    return fit(network(), train, val, folder / where, recipe=recipe, runtime=QUIET, **more)

def in_child(work):
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(7)
    return os.waitpid(child, 0)[1]

def killed_at(number):
    def step(self, batch, index, rate):
        outcome = real(self, batch, index, rate)
        if index == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return outcome
    Trainer.step = step

for name in {names!r}:
    train_on(name, f"{{name}}-whole")
    for number in (2, 7):   # the middle of the first and of the second epoch
        def work():
            killed_at(number)
            train_on(name, f"{{name}}-parts", resume=number > 2)
        assert os.WTERMSIG(in_child(work)) == signal.SIGKILL
    train_on(name, f"{{name}}-parts", resume=True)

def full_disk():
    killed_at(5)
    def limited(self, batch, index, rate):
        if index == 4:
            resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
        return real(self, batch, index, rate)
    Trainer.step = limited
    try:
        train_on("adamw", "full-parts")
    except Exception as error:
        print(type(error).__name__, error)

if "adamw" in {names!r}:
    in_child(full_disk)
    train_on("adamw", "full-parts", resume=True)
"""
# Daily those whose state holds most: an average, its own perturbations, pictures' changes that are carried on.
DAILY = ("adamw", "trades", "free")
SLOW = ("muon", "hardened", "nfgsm", "mart", "ibp", "crown-ibp")


def train_and_kill(folder: Path, names: tuple[str, ...]) -> tuple[Path, str]:
    return folder, run_processes(KILLED.format(folder=str(folder), names=names), world=1, timeout=300)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    return train_and_kill(tmp_path_factory.mktemp("runs"), DAILY)


@pytest.fixture(scope="module")
def more_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_and_kill(tmp_path_factory.mktemp("runs"), SLOW)[0]


@pytest.mark.parametrize("name", DAILY)
def test_a_killed_run_ends_with_the_same_bits(runs: tuple[Path, str], name: str) -> None:
    check_bits(runs[0], name)


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_a_killed_run_of_any_other_kind_ends_with_the_same_bits(more_runs: Path, name: str) -> None:
    check_bits(more_runs, name)


def check_bits(folder: Path, name: str) -> None:
    whole, parts = folder / f"{name}-whole", folder / f"{name}-parts"
    left, right = state_of(whole), state_of(parts)
    assert left["counters"]["step"] == 10
    assert (left["trainer"]["average"] is not None) == (name in ("adamw", "nfgsm", "trades", "free", "crown-ibp"))
    assert ("carried" in left["trainer"]) == (name == "free")
    assert same(left["trainer"], right["trainer"])
    for weights in ("best", "last", "epoch-01", "epoch-02"):
        assert same(RunFolder(whole).load_weights(weights), RunFolder(parts).load_weights(weights))


def test_the_log_tells_every_step_once(runs: tuple[Path, str]) -> None:
    logs = [read_log(runs[0] / f"adamw-{kind}" / "log.jsonl") for kind in ("whole", "parts")]
    for log in logs:
        assert [line["step"] for line in log if line["kind"] == "epoch"] == [5, 10]
    epochs = [[line for line in log if line["kind"] == "epoch"] for log in logs]
    for key in ("loss", "accuracy", "val_loss", "val_accuracy", "val_top5", "lr", "epoch"):
        assert [line[key] for line in epochs[0]] == [line[key] for line in epochs[1]]


def test_a_full_disk_is_named_and_loses_nothing(runs: tuple[Path, str]) -> None:
    assert runs[1].startswith("FileError")
    assert "full-parts" in runs[1]
    left, right = (state_of(runs[0] / name) for name in ("adamw-whole", "full-parts"))
    assert same(left["trainer"], right["trainer"])
    assert not [path.name for path in (runs[0] / "full-parts").iterdir() if path.name.startswith(".")]


def _finished(folder: Path) -> tuple[Dataset, Dataset]:
    train, val = pictures(split="train"), pictures(split="val")
    fit(network(), train, val, folder, recipe=Recipe(epochs=1, batch_size=24), runtime=QUIET)
    return train, val


def test_what_a_resumed_run_refuses(tmp_path: Path) -> None:
    train, val = _finished(tmp_path / "run")
    folder = tmp_path / "run"
    with pytest.raises(UsageError, match="already holds a run"):
        fit(network(), train, val, folder, runtime=QUIET)
    with pytest.raises(UsageError, match="another epochs"):
        fit(network(), train, val, folder, recipe=Recipe(epochs=2, batch_size=24), runtime=QUIET, resume=True)
    with pytest.raises(DataError, match="the train part .* not what the run was started with"):
        fit(network(), train.take(range(20)), val, folder, runtime=QUIET, resume=True)
    with pytest.raises(DataError, match="the val part .* not what the run was started with"):
        fit(network(), train, val.take(range(3)), folder, runtime=QUIET, resume=True)
    other = start_classifier("classic_cnn", train)
    with pytest.raises(UsageError, match="classic_cnn of size"):
        fit(other, train, val, folder, runtime=QUIET, resume=True)
    (folder / "state.pt").rename(folder / "hidden")
    with pytest.raises(FileError, match="does not exist"):
        fit(network(), train, val, folder, runtime=QUIET, resume=True)
    (folder / "hidden").rename(folder / "state.pt")
    with pytest.raises(FileError, match="no run folder"):
        fit(network(), train, val, tmp_path / "absent", runtime=QUIET, resume=True)
    assert fit(network(), train, val, folder, runtime=QUIET, resume=True).epochs == 1
    again = fit(network(), train, val, folder, recipe=Recipe(epochs=1, batch_size=12), runtime=QUIET, force=True)
    assert state_of(folder)["counters"]["step"] == 4
    assert again.epochs == 1


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("state.pt", b"not a state", "is not a readable checkpoint"),
        ("state.pt", b"", "is not a readable checkpoint"),
        ("run.json", b"{", "cannot be read"),
        ("run.json", b'{"format": 99, "versions": {"backlight": "9.1"}}', "written by Backlight 9.1"),
        ("run.json", b"[]", "it is a list of 0"),
        ("log.jsonl", b"{}\n{}\n", "line 1: kind is absent"),
    ],
)
def test_broken_runs_are_named(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    train, val = _finished(tmp_path)
    (tmp_path / name).write_bytes(data)
    with pytest.raises(FileError, match=message) as caught:
        fit(network(), train, val, tmp_path, runtime=QUIET, resume=True)
    assert name in str(caught.value)


def test_a_state_that_would_run_code_is_refused(tmp_path: Path) -> None:
    import pickle

    class Code:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path(tmp_path / "owned").write_text, ("x",))

    train, val = _finished(tmp_path)
    (tmp_path / "state.pt").write_bytes(pickle.dumps(Code()))
    with pytest.raises(FileError, match=r"state\.pt"):
        fit(network(), train, val, tmp_path, runtime=QUIET, resume=True)
    assert not (tmp_path / "owned").exists()


def test_the_state_is_saved_in_the_middle_of_an_epoch_and_taken_up_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, val = pictures(split="train"), pictures(split="val")
    recipe, real, steps = Recipe(epochs=1, batch_size=9), Trainer.step, list[int]()

    def step(self: Trainer, batch: TrainingBatch, number: int, rate: float) -> Outcome:
        if number == 3 and not steps.count(3):
            steps.append(3)
            raise KeyboardInterrupt
        steps.append(number)
        return real(self, batch, number, rate)

    monkeypatch.setattr(Trainer, "step", step)
    rarely = replace(QUIET, save_every=3600.0)
    for name, runtime in (("often", QUIET), ("rarely", rarely)):
        steps.clear()
        with pytest.raises(KeyboardInterrupt):
            fit(network(), train, val, tmp_path / name, recipe=recipe, runtime=runtime)
        assert state_of(tmp_path / name)["counters"]["step"] == 3
        fit(network(seed=9), train, val, tmp_path / name, resume=True, runtime=runtime)
        assert steps == [0, 1, 2, 3, 3, 4]
    whole = fit(network(), train, val, tmp_path / "whole", recipe=recipe, runtime=QUIET)
    for name in ("often", "rarely"):
        assert same(state_of(whole.run)["trainer"], state_of(tmp_path / name)["trainer"])


def test_what_was_shown_on_the_board_is_what_was_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    # Both within one second, and the fraction of the second one longer: files are read in the order of their names.
    moments = itertools.count(1_700_000_000_000_000_009)
    monkeypatch.setattr(time, "time_ns", lambda: next(moments))
    log = Log(tmp_path)
    for step in (1, 2, 3):
        log.write({"kind": "step", "step": step, "loss": float(step)})
    log.close()
    resumed = Log(tmp_path, resume_at=2)
    resumed.write({"kind": "step", "step": 3, "loss": 30.0})
    resumed.close()
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    shown = [(one.step, one.value) for one in board.Scalars("step/loss")]
    assert shown == [(line["step"], line["loss"]) for line in read_log(log.path)] == [(1, 1.0), (2, 2.0), (3, 30.0)]


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let SIGINT raise KeyboardInterrupt, also where the tests were started in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_waits_for_the_end_of_the_step() -> None:
    done = []

    def step() -> None:
        with held_interrupt():
            signal.raise_signal(signal.SIGINT)
            done.append("the rest")

    with pytest.raises(KeyboardInterrupt):
        step()
    assert done == ["the rest"]
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
