"""What several processes of one command cannot do is said once, in one sentence."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from backlight.runs.lock import run_lock
from tests.processes import Ended, run_script

TRAIN = """
import sys
from backlight.cli import main
sys.argv[0] = "backlight"
main()
"""
DATA = ("--data", "shapes:n=40,size=8,classes=2")


def train(*words: object) -> Ended:
    """Train by the command line in two processes that know of each other."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo"}
    return run_script(TRAIN, "train", *words, "--quiet", world=2, **where)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--data", "no-such-folder"), "no-such-folder"),
        ((*DATA, "--model", "clasic_cnn"), "classic_cnn"),
        ((*DATA, "--set", "epochz=3"), "epochs"),
        ((*DATA, "--batch-size", 1), "batches of 1 for 2 processes"),
        ((*DATA, "--resume"), "no run folder"),
    ],
)
def test_a_wrong_word_is_told_by_one_process(tmp_path: Path, words: tuple[object, ...], said: str) -> None:
    ended = train(*words, "--out", tmp_path / "run")
    assert ended.status
    (line,) = ended.err.splitlines()
    assert line.startswith("backlight: ")
    assert said in line


def test_a_folder_that_holds_a_run_or_is_held_is_told_of_by_one_process(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    (line,) = train(*DATA, "--out", tmp_path).err.splitlines()
    assert "already holds a run; try: --resume" in line
    with run_lock(tmp_path):
        (line,) = train(*DATA, "--out", tmp_path, "--force").err.splitlines()
    assert "is being trained in by process" in line
