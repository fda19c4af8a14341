"""A run goes on from a state of its own only: every other one is refused with its path, what was found and expected."""

import json
import math
import shutil

import pytest
import torch

from backlight.core.errors import FileError
from backlight.train import fit
from backlight.train.recipe import Recipe
from tests.train.nets import QUIET, network, pictures, state_of

RECIPE = Recipe(epochs=2, batch_size=12, optimizer="adamw", ema=0.9)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("state") / "run"
    fit(network(), pictures(), pictures(split="val"), folder, recipe=RECIPE, runtime=QUIET)
    return folder


def resume(folder):
    return fit(network(), pictures(), pictures(split="val"), folder, resume=True, runtime=QUIET)


CHANGES = {
    "counters.step is -5": lambda s: s["counters"].update(step=-5),
    "counters.step is absent": lambda s: s["counters"].pop("step"),
    "counters.step is 'x'": lambda s: s["counters"].update(step="x"),
    "counters.step is true": lambda s: s["counters"].update(step=True),
    "counters.step is 1000000": lambda s: s["counters"].update(step=10**6),
    "counters.epoch is a list": lambda s: s["counters"].update(epoch=[1]),
    "counters.epoch.steps is 2": lambda s: s["counters"]["epoch"].update(steps=2),
    "counters.epoch.loss is nan": lambda s: s["counters"]["epoch"].update(loss=math.nan),
    "counters.best_epoch is 0": lambda s: s["counters"].update(best_epoch=0),
    "counters.seconds is nan": lambda s: s["counters"].update(seconds=math.nan),
    "counters is a list": lambda s: s.update(counters=[]),
    "trainer.parts is 0": lambda s: s["trainer"].update(parts=0),
    "trainer.parts is -1": lambda s: s["trainer"].update(parts=-1),
    "trainer.module.0.weight is absent": lambda s: s["trainer"]["module"].pop("0.weight"),
    "trainer.module.0.weight is a Tensor": lambda s: s["trainer"]["module"].update({"0.weight": torch.zeros(3)}),
    "trainer.module.more is there": lambda s: s["trainer"]["module"].update(more=torch.zeros(3)),
    "trainer.module.0.bias is a Tensor": lambda s: s["trainer"]["module"].update({"0.bias": torch.zeros(6).double()}),
    "trainer.average is null": lambda s: s["trainer"].update(average=None),
    "trainer.optimizer.parts is absent": lambda s: s["trainer"].update(optimizer={}),
    "trainer.optimizer.parts is 0 parts": lambda s: s["trainer"].update(optimizer={"parts": []}),
    "state.0.exp_avg is a tensor [7]": lambda s: s["trainer"]["optimizer"]["parts"][0]["state"][0].update(
        exp_avg=torch.zeros(7)
    ),
    "state is empty": lambda s: s["trainer"]["optimizer"]["parts"][0].update(state={}),
    "state.99 is there": lambda s: s["trainer"]["optimizer"]["parts"][0]["state"].update({99: {}}),
    "param_groups is of other": lambda s: s["trainer"]["optimizer"]["parts"][0]["param_groups"][0].update(params=[5]),
}


@pytest.mark.parametrize("told", CHANGES)
def test_a_state_that_was_changed_is_refused(run, tmp_path, told):
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    state = state_of(folder)
    CHANGES[told](state)
    torch.save(state, folder / "state.pt")
    before = (folder / "log.jsonl").read_bytes()
    with pytest.raises(FileError, match=r"state\.pt: .*; expected ") as caught:
        resume(folder)
    assert told in str(caught.value)
    assert (folder / "log.jsonl").read_bytes() == before


def test_the_state_that_was_saved_is_taken(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    assert resume(tmp_path / "run").epochs == 2


INFO = {
    "seed is 'x'": lambda info: info.update(seed="x"),
    "seed is absent": lambda info: info.pop("seed"),
    "size[0] is 0": lambda info: info.update(size=[0, 8]),
    "recipe is a list": lambda info: info.update(recipe=[]),
    "no usable recipe": lambda info: info["recipe"].update(epochs=-3),
    "data.train is 3": lambda info: info["data"].update(train=3),
    "probe.precision is 'float8'": lambda info: info["probe"].update(precision="float8"),
    "probe.compile is 'yes'": lambda info: info["probe"].update(compile="yes"),
    "labels[1] is null": lambda info: info.update(labels=["a", None]),
}


@pytest.mark.parametrize("told", INFO)
def test_a_description_that_was_changed_is_refused(run, tmp_path, told):
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    info = json.loads((folder / "run.json").read_text())
    INFO[told](info)
    (folder / "run.json").write_text(json.dumps(info))
    with pytest.raises(FileError, match=r"run\.json: ") as caught:
        resume(folder)
    assert told in str(caught.value)
