"""Two trainings never share a folder, and what killed ones leave is swept by the next."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from backlight.core.errors import FileError, UsageError
from backlight.runs.lock import NAME, run_lock
from backlight.train import fit
from backlight.train.recipe import Recipe
from tests.train.nets import QUIET, network, pictures

SHORT = Recipe(epochs=1, batch_size=12)
HOLDER = """
import sys
from pathlib import Path
from backlight.runs.lock import run_lock
with run_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_folder_that_is_held_names_its_holder_until_that_dies(tmp_path):
    run = tmp_path / "run"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(run)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(UsageError, match=rf"is being trained in by process {holder.pid} on .+ since \d{{4}}-"):
        fit(network(), pictures(), pictures(split="val"), run, recipe=SHORT, runtime=QUIET)
    assert not (run / "run.json").exists()
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    assert (run / NAME).exists()  # left by the dead, and held by nobody
    assert fit(network(), pictures(), pictures(split="val"), run, recipe=SHORT, runtime=QUIET).epochs == 1
    assert not (run / NAME).exists()


def test_two_trainings_of_one_process_do_not_mix_either(tmp_path):
    with run_lock(tmp_path), pytest.raises(UsageError, match=f"by process {os.getpid()} on"):
        fit(network(), pictures(), pictures(split="val"), tmp_path, recipe=SHORT, runtime=QUIET)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "{", "[]", json.dumps({"host": 3, "process": -1, "since": "x", "doing": 1})])
def test_a_holder_that_says_nothing_usable(tmp_path, content):
    with run_lock(tmp_path):
        (tmp_path / NAME).write_text(content)
        with pytest.raises(UsageError, match="held by another process"), run_lock(tmp_path):
            pass


def test_what_killed_processes_left_is_swept_and_nothing_else(tmp_path):
    left = [
        tmp_path / name for name in (".last.0123456789ab.safetensors", ".state.abcdef012345.pt", ".log.000000000000")
    ]
    kept = [
        tmp_path / name for name in (".git", ".last.0123.safetensors", "last.0123456789ab.safetensors", ".hidden.txt")
    ]
    for path in (*left, *kept):
        path.write_text("x")
    with run_lock(tmp_path):
        assert not any(path.exists() for path in left)
    assert sorted(tmp_path.iterdir()) == sorted(kept)


def test_a_folder_that_was_made_for_nothing_is_gone(tmp_path):
    with pytest.raises(FileError, match="no run folder"):
        fit(network(), pictures(), pictures(split="val"), tmp_path / "run", resume=True, runtime=QUIET)
    assert not (tmp_path / "run").exists()


def test_a_place_where_nothing_can_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is a file"):
        fit(network(), pictures(), pictures(split="val"), tmp_path / "file" / "run", runtime=QUIET)
    with pytest.raises(FileError, match="cannot be written"), run_lock(Path(tmp_path / "file" / "run")):
        pass
