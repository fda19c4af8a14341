"""Standard output that takes nothing, as a full disk: one sentence and an exit status, never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from backlight.core.refused import told_of_disk
from backlight.runs.folder import RunFolder

FULL = Path("/dev/full")
pytestmark = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


def run(words: list[str], out: Path, err: Path) -> int:
    with out.open("wb") as told, err.open("wb") as warned:
        return subprocess.run([sys.executable, "-m", "backlight", *words], stdout=told, stderr=warned).returncode


@pytest.mark.parametrize("words", [["methods", "--json"], pytest.param(["--help"], marks=pytest.mark.slow)])
def test_an_output_that_is_full_ends_in_one_sentence(tmp_path: Path, words: list[str]) -> None:
    err = tmp_path / "err"
    assert run(words, FULL, err) == 2
    assert err.read_text() == "backlight: standard output: cannot be written: No space left on device\n"


def test_a_current_folder_that_is_gone_ends_in_one_sentence(tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    command = ["sh", "-c", 'rmdir "$PWD" && exec "$0" "$@"', sys.executable, "-m", "backlight", "report"]
    paths = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    ended = subprocess.run(command, cwd=here, env=paths, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "backlight: the current folder is gone; expected one that is there; try: cd to another\n"


def test_a_current_folder_that_goes_away_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tmp_path.rmdir()
    with pytest.raises(FileNotFoundError) as raised:
        RunFolder("run").require_new()
    assert told_of_disk(raised.value).startswith("the current folder is gone")


@pytest.mark.slow
def test_where_nothing_can_be_said_the_status_says_it(tmp_path: Path) -> None:
    assert run(["predict", "no-such-picture.png"], tmp_path / "out", FULL) == 2
