"""What killed writers leave is taken over by the next one, and what living ones write is left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from backlight.core.atomic import atomic, sweep_folder
from backlight.core.errors import UsageError
from backlight.core.files import write_text
from backlight.core.locks import held

WRITER = """
import sys
from pathlib import Path
from backlight.core.atomic import atomic
with atomic(sys.argv[1]) as temporary:
    temporary.write_text("half of it")
    print(temporary.name, flush=True)
    sys.stdin.read()
"""


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def start_writing(target: Path) -> subprocess.Popen[str]:
    """Start a process that writes half of a file and waits."""
    words = [sys.executable, "-c", WRITER, str(target)]
    writer = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    assert writer.stdout.readline()
    return writer


def end(writer: subprocess.Popen[str], number: int | None = None) -> None:
    if number is not None:
        writer.send_signal(number)
    writer.communicate()


@pytest.mark.parametrize("writers", [1, 3])
def test_what_killed_writers_left_goes_with_the_next(tmp_path: Path, writers: int) -> None:
    target = tmp_path / "result.txt"
    for one in [start_writing(target) for _ in range(writers)]:
        end(one, signal.SIGKILL)
    assert len(names(tmp_path)) == writers
    write_text(target, "whole")
    assert names(tmp_path) == ["result.txt"]
    assert target.read_text() == "whole"


def test_several_write_at_once_and_each_file_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "result.txt"
    other = start_writing(target)
    write_text(target, "mine")
    assert target.read_text() == "mine"
    assert len(names(tmp_path)) == 2
    end(other)
    assert (target.read_text(), names(tmp_path)) == ("half of it", ["result.txt"])


def test_a_sweep_leaves_the_living_alone(tmp_path: Path) -> None:
    living, dead = start_writing(tmp_path / "a.txt"), start_writing(tmp_path / "b.txt")
    end(dead, signal.SIGKILL)
    (tmp_path / ".hidden.txt").write_text("somebody's own")
    sweep_folder(tmp_path)
    end(living)
    assert names(tmp_path) == [".hidden.txt", "a.txt"]


@pytest.mark.parametrize("trap", ["link", "hard link", "folder", "pipe"])
def test_a_trap_under_the_temporary_name_is_left_alone(tmp_path: Path, trap: str) -> None:
    target, secret = tmp_path / "result.txt", tmp_path / "secret"
    secret.write_text("untouched")
    with atomic(target) as temporary:
        pass
    {
        "link": lambda: temporary.symlink_to(secret),
        "hard link": lambda: temporary.hardlink_to(secret),
        "folder": temporary.mkdir,
        "pipe": lambda: os.mkfifo(temporary),
    }[trap]()
    write_text(target, "whole")
    assert (target.read_text(), secret.read_text()) == ("whole", "untouched")
    assert os.path.lexists(temporary)


@pytest.mark.parametrize("name", ["n." + "s" * 250, "ä" * 125 + ".html", "line\nbreak.png", "\udcff\udcfe.npz"])
def test_names_at_the_limit_can_be_written_and_swept(tmp_path: Path, name: str) -> None:
    with atomic(tmp_path / name) as temporary:
        pass
    (tmp_path / name).unlink()
    temporary.touch()
    sweep_folder(tmp_path)
    assert names(tmp_path) == []


def test_a_thing_that_is_held_is_held_once(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with held(path, "photos", "written"):
        with (
            pytest.raises(UsageError, match=f"photos is being written by process {os.getpid()} on"),
            held(path, "photos", "written"),
        ):
            pass
        assert path.exists()
    assert names(tmp_path) == []
