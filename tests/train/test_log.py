"""The log of a run: what TensorBoard reads of it, and a folder that is taken away while it is written."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from backlight.core.errors import FileError
from backlight.runs.log import Log


def test_tensorboard_reads_what_was_written_and_forgets_what_is_taken_again(tmp_path: Path) -> None:
    log = Log(tmp_path)
    for step in (1, 2, 3):
        log.write({"kind": "step", "step": step, "loss": 1.0 / step})
    log.close()
    resumed = Log(tmp_path, resume_at=1)
    resumed.write({"kind": "step", "step": 2, "loss": 7.0})
    resumed.close()
    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(one.step, one.value) for one in board.Scalars("step/loss")] == [(1, 1.0), (2, 7.0)]


def test_a_folder_that_vanishes_is_said_in_one_sentence(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    log = Log(run)
    log.write({"kind": "step", "step": 1, "loss": 0.5})
    shutil.rmtree(run)
    with pytest.raises(FileError, match=r"log\.jsonl: cannot be written: No such file"):
        log.write({"kind": "step", "step": 2, "loss": 0.4})
    log.close()
