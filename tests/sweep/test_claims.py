"""Claims: one process at a time, and no block lost to a process that died."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from backlight.sweep.claims import BEAT, EXPIRED, Claim, claimed, read_claim
from tests.processes import run_script


def write(path: Path, **changed: object) -> None:
    path.write_text(json.dumps({**vars(Claim.own()), **changed}))


def age(path: Path, seconds: float) -> None:
    when = time.time() - seconds
    os.utime(path, (when, when))


def test_a_claim_is_held_by_one_and_let_go_after_an_exception(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.claim"

    def interrupted() -> None:
        with claimed(path) as mine:
            assert mine
            held = read_claim(path)
            assert held is not None
            assert held.process == os.getpid()
            with claimed(path) as again:
                assert not again
            assert path.exists()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not path.exists()


def test_a_process_that_was_killed_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.claim"
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom backlight.sweep.claims import claimed\n"
        "with claimed(Path(sys.argv[1])) as mine:\n    assert mine\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert run_script(code, path).status == -signal.SIGKILL
    assert path.exists()
    assert read_claim(path) is None
    with claimed(path) as mine:
        assert mine


def test_a_number_that_was_given_to_another_process_is_not_the_one_that_claimed(tmp_path: Path) -> None:
    path = tmp_path / "a.claim"
    write(path)
    assert read_claim(path) is not None
    if not Path("/proc/self/stat").exists():
        pytest.skip("only /proc tells when a process began")
    write(path, began="1")
    assert read_claim(path) is None


def test_another_host_is_believed_as_long_as_it_gives_signs_of_life(tmp_path: Path) -> None:
    path = tmp_path / "a.claim"
    write(path, host="elsewhere", process=1)
    with claimed(path) as mine:
        assert not mine
    age(path, EXPIRED + 1)
    with claimed(path) as mine:
        assert mine


@pytest.mark.parametrize("text", ["", "{", "[]", '{"host": "a"}', '{"host": 1, "process": "x"}'])
def test_half_a_claim_counts_for_a_moment_only(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.claim"
    path.write_text(text)
    assert read_claim(path) is not None
    age(path, BEAT + 1)
    assert read_claim(path) is None
