"""Several processes train the network that one would."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.processes import run_processes

COMMON = """
from dataclasses import replace
from pathlib import Path
import torch
from backlight.core.processes import make_engine
from backlight.evaluate.metrics import mean_loss
from backlight.evaluate.samples import predict_dataset
from backlight.core.errors import DataError, OtherProcessError, UsageError
from backlight.train.augment import Augmentation
from backlight.train import fit
from backlight.runs.log import read_log
from backlight.train.recipe import Recipe
from backlight.train.trainer import Trainer
from tests.train.nets import QUIET, network, pictures, same, state_of

folder, engine = Path({folder!r}), make_engine("cpu")
train, val = pictures(split="train"), pictures(70, split="val").take(range(5))

def run(name, recipe, **more):
    classifier = network(norm=more.pop("norm", True), dropout=0.0)
    classifier.module.double()
    return fit(classifier, train, val, folder / name, recipe=recipe, runtime=QUIET, engine=engine, **more)
"""


def together(script: str, folder: Path, world: int = 2) -> str:
    return run_processes(COMMON.format(folder=str(folder)) + script, world)


def test_statistics_of_normalization_are_the_same_in_all(tmp_path: Path) -> None:
    together(
        """
found = run("norm", Recipe(epochs=2, batch_size=8, optimizer="sgd", lr=0.1, ema=0.5))
states = engine.gather_objects({name: value for name, value in found.classifier.module.state_dict().items()})
assert same(states[0], states[1])
if engine.is_main:
    best = [line for line in read_log(folder / "norm" / "log.jsonl") if line["kind"] == "epoch"][found.best_epoch - 1]
    alone = predict_dataset(found.classifier, val).table
    assert abs(mean_loss(alone) - best["val_loss"]) < 1e-9, (mean_loss(alone), best)
""",
        tmp_path,
    )


STOP = """
real = Trainer.step
class Stopped(Exception): pass
def until(self, batch, number, rate):
    if number == 8:
        raise Stopped
    return real(self, batch, number, rate)
Trainer.step = until
"""
"""Let a run end in the middle of its second epoch."""


@pytest.mark.slow
def test_an_interrupted_run_with_statistics_and_attacks_resumes_with_the_same_bits(tmp_path: Path) -> None:
    together(
        f"""
recipe = Recipe(epochs=2, batch_size=8, optimizer="sgd", lr=0.1, adversary="pgd:eps=8/255,steps=2")
run("whole", recipe)
{STOP}
try:
    run("parts", recipe)
except Stopped:
    pass
Trainer.step = real
engine.barrier()
run("parts", recipe, resume=True)
if engine.is_main:
    assert same(state_of(folder / "whole")["trainer"], state_of(folder / "parts")["trainer"])
""",
        tmp_path,
    )


FREE = 'recipe = Recipe(epochs=2, batch_size=8, optimizer="sgd", lr=0.1, adversary="free:replays=2", ema=0.9)\n'
STOPPED = f"""
{FREE}{STOP}
try:
    run("parts", recipe, norm=False)
except Stopped:
    engine.barrier()
    assert state_of(folder / "parts")["counters"]["step"] == 8
else:
    raise AssertionError("it was not stopped")
"""


@pytest.mark.slow
@pytest.mark.parametrize(("first", "then"), [(2, 1), (1, 2)])
def test_a_run_goes_on_with_more_or_fewer_processes(tmp_path: Path, first: int, then: int) -> None:
    together(STOPPED, tmp_path, first)
    together(FREE + 'run("whole", recipe, norm=False)', tmp_path, 1)
    together(FREE + 'run("parts", recipe, norm=False, resume=True)', tmp_path, then)
    from backlight.runs.folder import RunFolder

    one, parts = (RunFolder(tmp_path / name).load_weights("last") for name in ("whole", "parts"))
    assert max(float((one[name] - parts[name]).abs().max()) for name in one) < 1e-9


SETTINGS = {
    "frozen": 'freeze=1, augment=Augmentation(flip="random")',
    "trunk": "freeze=-1, augment=Augmentation()",
    "parts": "accumulate=3, clip=0.5, balance='weights'",
    "nfgsm": "adversary='nfgsm', ema=0.9",
    "trades": "adversary='trades:steps=2,awp=0.01', swa=0.4",
    "mart": "adversary='mart:steps=2'",
    "free": "adversary='free:replays=2'",
    "ibp": "adversary='ibp'",
    "crown-ibp": "adversary='crown-ibp:ramp=1', accumulate=2",
}


@pytest.mark.slow
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_two_take_the_steps_of_one(tmp_path: Path, settings: str) -> None:
    script = f"""
found = run(str(engine.world), Recipe(epochs=2, batch_size=8, optimizer="sgd", lr=0.1, {settings}), norm=False)
"""
    for world in (1, 2):
        together(script, tmp_path, world)
    from backlight.runs.folder import RunFolder

    one, two = (RunFolder(tmp_path / name).load_weights("best") for name in ("1", "2"))
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < 1e-9


def test_a_batch_smaller_than_the_processes_is_refused(tmp_path: Path) -> None:
    together(
        """
try:
    run("tiny", Recipe(epochs=1, batch_size=1))
except (UsageError, OtherProcessError) as error:
    assert isinstance(error, UsageError) == engine.is_main
    assert "batches of 1 for 2 processes" in str(error), error
else:
    raise AssertionError("one picture was shared out")
""",
        tmp_path,
    )


def test_other_pictures_in_another_process_are_refused_by_both_and_told_by_one(tmp_path: Path) -> None:
    told = together(
        """
if engine.rank == 1:
    train = train.take(range(20))
try:
    run("mixed", Recipe(epochs=1, batch_size=8))
except (DataError, OtherProcessError) as error:
    print(f"{type(error).__name__}: {error}", flush=True)
assert not (folder / "mixed" / "run.json").exists()
""",
        tmp_path,
    )
    problem = "process 1 of 2 has found other pictures in shapes:n=60,size=8,classes=3 than the main process"
    assert sorted(told.splitlines()) == [
        f"DataError: {problem}; expected the same pictures on every machine",
        f"OtherProcessError: {problem}",
    ]
