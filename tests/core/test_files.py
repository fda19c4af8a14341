import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from backlight.core.atomic import atomic
from backlight.core.errors import FileError, UsageError
from backlight.core.files import expanded, inside, name_part, require_new, write_bytes, write_text


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def test_writes_whole_files_and_makes_their_folder(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "b" / "text.txt", "ö\r\n")
    write_bytes(tmp_path / "a" / "data", b"\0\1")
    assert (tmp_path / "a" / "b" / "text.txt").read_bytes() == b"\xc3\xb6\r\n"
    assert (tmp_path / "a" / "data").read_bytes() == b"\0\1"
    assert names(tmp_path / "a") == ["b", "data"]


def test_the_temporary_name_is_hidden_beside_the_target_and_keeps_the_suffix(tmp_path: Path) -> None:
    with atomic(tmp_path / "figure.png") as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".png"
        assert temporary.name.startswith(".")
        temporary.write_bytes(b"new")
        assert not (tmp_path / "figure.png").exists()
    assert names(tmp_path) == ["figure.png"]


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    write_text(tmp_path / "shared.txt", "")
    (tmp_path / "plain.txt").write_text("")
    assert (tmp_path / "shared.txt").stat().st_mode == (tmp_path / "plain.txt").stat().st_mode


@pytest.mark.parametrize("error", [ValueError("in the middle"), KeyboardInterrupt()])
def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: BaseException) -> None:
    target = tmp_path / "result.txt"
    target.write_text("old")

    def write_half() -> None:
        with atomic(target) as temporary:
            temporary.write_text("ne")
            raise error

    with pytest.raises(type(error)):
        write_half()
    assert target.read_text() == "old"
    assert names(tmp_path) == ["result.txt"]


RUN_OUT_OF_SPACE = """
import resource, signal, sys
from backlight.core.errors import FileError
from backlight.core.files import write_bytes
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_bytes(sys.argv[1], bytes(100_000))
except FileError as error:
    print(error)
"""

KILL_IN_THE_MIDDLE = """
import os, signal, sys
from backlight.core.atomic import atomic
with atomic(sys.argv[1]) as temporary:
    temporary.write_bytes(b"ha")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def run(code: str, target: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, str(target)], capture_output=True, text=True, check=False)


def test_a_full_disk_is_one_error_and_keeps_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "result.bin"
    target.write_bytes(b"old")
    done = run(RUN_OUT_OF_SPACE, target)
    assert done.stdout == f"{target}: cannot be written: File too large\n"
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["result.bin"]


def test_a_killed_process_keeps_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "result.bin"
    target.write_bytes(b"old")
    assert run(KILL_IN_THE_MIDDLE, target).returncode == -signal.SIGKILL
    assert target.read_bytes() == b"old"


def test_places_that_cannot_hold_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for target in (tmp_path / "file" / "below", tmp_path / "folder"):
        with pytest.raises(FileError, match=f"{target.name}: cannot be written"):
            write_text(target, "x")
    assert names(tmp_path) == ["file", "folder"]


def test_a_very_long_name_can_be_written(tmp_path: Path) -> None:
    write_text(tmp_path / ("n" * 251 + ".txt"), "x")
    assert len(names(tmp_path)) == 1


def test_errors_about_other_files_are_passed_on_as_they_are(tmp_path: Path) -> None:
    def read_while_writing() -> None:
        with atomic(tmp_path / "copy") as temporary:
            temporary.write_bytes((tmp_path / "missing").read_bytes())

    with pytest.raises(FileNotFoundError):
        read_while_writing()


def test_inside_accepts_what_stays_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert inside(tmp_path, "a/../b.txt") == tmp_path.resolve() / "b.txt"
    assert inside(tmp_path, tmp_path / "c") == tmp_path.resolve() / "c"
    assert inside(tmp_path, "link/d") == tmp_path.resolve() / "real" / "d"


def test_inside_refuses_what_leaves_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    folder.mkdir()
    (tmp_path / "runs-old").mkdir()
    (folder / "link").symlink_to(tmp_path)
    (folder / "loop").symlink_to(folder / "loop")
    for path in ("..", "../runs-old/x", "/etc/passwd", "link/x", "a/../../x"):
        with pytest.raises(FileError, match="leads out of the folder"):
            inside(folder, path)
    for path in ("loop/x", "zero\0byte"):
        with pytest.raises(FileError, match="is not a usable path"):
            inside(folder, path)


def test_require_new_protects_files_folders_and_dangling_links(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for target in (tmp_path, tmp_path / "file", tmp_path / "dangling"):
        with pytest.raises(UsageError, match=f"{target.name} exists already.*--force"):
            require_new(target)
        assert require_new(target, force=True) == target
    assert require_new(tmp_path / "new") == tmp_path / "new"


def test_a_long_name_is_cut_and_stays_apart_from_others() -> None:
    first, second = (name_part(f"pgd:{'steps=3,' * 40}eps={eps}/255") for eps in (2, 3))
    assert first != second
    assert len(first) == len(second) == 64
    assert first.startswith("pgd-steps=3-steps=3")
    assert name_part("a" * 64) == "a" * 64


@pytest.mark.parametrize("text", ["~\0", "~a\0/b", "~nobody-has-this-name/x", "~\ud800"])
def test_a_name_that_no_file_can_have_is_refused_in_words(text):
    with pytest.raises(FileError, match="not a usable path"):
        expanded(text)
