"""A run whose processes torchrun starts again goes on; whoever starts it anew is refused as ever."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backlight.core.errors import UsageError
from backlight.train import fit
from backlight.train.launch import Launch
from backlight.train.recipe import Recipe
from backlight.train.trainer import Trainer
from tests.train.nets import QUIET, network, pictures

SHORT = Recipe(epochs=1, batch_size=12)


def start(run: Path, monkeypatch: pytest.MonkeyPatch, process: int, agent: int = 1, **more: bool) -> int:
    """Train as a process that an agent of torchrun has started; count the steps that were taken."""
    taken = []
    with monkeypatch.context() as changed:
        changed.setenv("TORCHELASTIC_RUN_ID", "none")
        changed.setattr("os.getppid", lambda: agent)
        changed.setattr("backlight.train.launch.identify", lambda one: f"host/{one if one == agent else process}")
        step = Trainer.step
        changed.setattr(Trainer, "step", lambda *words: taken.append(0) or step(*words))
        fit(network(), pictures(), pictures(split="val"), run, recipe=SHORT, runtime=QUIET, **more)
    return len(taken)


def test_processes_that_were_started_again_go_on_and_others_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = start(tmp_path, monkeypatch, process=7)
    assert steps == 4
    assert start(tmp_path, monkeypatch, process=8) == 0
    assert start(tmp_path, monkeypatch, process=9, force=True) == 0  # the words are those of the first start
    for process, agent in ((9, 1), (10, 2)):  # the same process again; another torchrun
        with pytest.raises(UsageError, match="already holds a run; try: --resume"):
            start(tmp_path, monkeypatch, process, agent)
    assert start(tmp_path, monkeypatch, process=10, agent=2, force=True) == steps


def test_who_started_it_last_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start(tmp_path, monkeypatch, process=7)
    assert start(tmp_path, monkeypatch, process=8, agent=2, resume=True) == 0
    assert start(tmp_path, monkeypatch, process=9, agent=2) == 0
    with pytest.raises(UsageError, match="already holds a run"):
        start(tmp_path, monkeypatch, process=10, agent=1)


def test_without_torchrun_nothing_is_kept_and_nothing_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    fit(network(), pictures(), pictures(split="val"), tmp_path, recipe=SHORT, runtime=QUIET)
    assert "launch" not in json.loads((tmp_path / "run.json").read_text())
    with pytest.raises(UsageError, match="already holds a run"):
        fit(network(), pictures(), pictures(split="val"), tmp_path, recipe=SHORT, runtime=QUIET)


def test_a_run_that_cannot_be_read_is_replaced_by_force(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run.json").write_text("{")
    assert start(tmp_path, monkeypatch, process=7, force=True) == 4


@pytest.mark.parametrize(
    "kept", [None, 3, {}, {"agents": 1}, {"agents": [1, None], "main": 3}, {"agents": [], "main": ""}]
)
def test_what_a_run_has_kept_may_be_anything(kept: object) -> None:
    assert not Launch(["a"], "b").continues({"launch": kept})
