"""Standard output that takes nothing, as a full disk: one sentence and an exit status, never a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FULL = Path("/dev/full")
pytestmark = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


def run(words: list[str], out: Path, err: Path) -> int:
    with out.open("wb") as told, err.open("wb") as warned:
        return subprocess.run([sys.executable, "-m", "backlight", *words], stdout=told, stderr=warned).returncode


@pytest.mark.parametrize("words", [["methods", "--json"], ["--help"]])
def test_an_output_that_is_full_ends_in_one_sentence(tmp_path: Path, words: list[str]) -> None:
    err = tmp_path / "err"
    assert run(words, FULL, err) == 2
    assert err.read_text() == "backlight: standard output: cannot be written: No space left on device\n"


def test_where_nothing_can_be_said_the_status_says_it(tmp_path: Path) -> None:
    assert run(["predict", "no-such-picture.png"], tmp_path / "out", FULL) == 2
