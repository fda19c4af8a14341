"""Some hundred hostile inputs, a few for every loader and grammar; `make fuzz` tries twenty thousand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.fuzz.inputs import lay_out
from tools.fuzz.targets import TARGETS

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_every_loader_reads_or_refuses_in_one_sentence(tmp_path):
    command = [sys.executable, "-m", "tools.fuzz", "--count", "300", "--log", str(tmp_path / "log.jsonl"), "--no-save"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("\n|") > len(TARGETS)
    # Resumed, there is nothing left to try, and the table is the same.
    lines = (tmp_path / "log.jsonl").read_text()
    again = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert again.stdout == done.stdout
    assert (tmp_path / "log.jsonl").read_text() == lines


def test_an_input_follows_from_seed_and_number():
    for name in ("npz", "labels", "grammar data"):
        target = TARGETS[name]
        first = [target.input(3, number) for number in range(16)]
        assert [target.input(3, number) for number in range(16)] == first
        assert [target.input(4, number) for number in range(2)] != first[:2]
        assert len({repr(one) for one in first}) > 12


def test_valid_inputs_are_read(tmp_path, monkeypatch):
    for name in ("npz", "parquet", "labels", "recipe", "slices", "safetensors", "finished block"):
        for number, files in enumerate(TARGETS[name].valid):
            folder = tmp_path / name / str(number)
            folder.mkdir(parents=True)
            monkeypatch.chdir(folder)
            lay_out(files, folder)
            TARGETS[name].read(folder)
