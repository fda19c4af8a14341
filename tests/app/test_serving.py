"""The program itself: it says where it is, answers there, and ends when it is told to, whatever goes on."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from urllib.error import HTTPError

import pytest

from tests.app.program import Program

pytestmark = pytest.mark.slow
SMALL = ("--model", "classic_cnn", "--random")


@pytest.fixture
def program() -> Iterator[Program]:
    with Program(*SMALL) as started:
        yield started


def test_it_says_where_it_is_and_answers_there(program: Program, cat: bytes) -> None:
    assert program.base.startswith("http://127.0.0.1:")
    assert len(program.token) >= 32
    assert b"<title>Backlight</title>" in program.read(f"?token={program.token}")
    events = program.read(f"api/job/{program.job('predict', cat)}").decode()
    assert "event: done" in events
    with pytest.raises(HTTPError, match="403") as refused:
        program.ask("api/state", token="wrong")
    refused.value.close()
    assert program.end() == (0, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_at_once_in_the_middle_of_work(program: Program, cat: bytes, number: int) -> None:
    job = program.job("explain?methods=rise:samples%3D200000", cat)
    with program.ask(f"api/job/{job}") as stream:
        while b"started" not in stream.readline():
            pass
        began = time.monotonic()
        status, errors = program.end(number)
    assert "Traceback" not in errors
    assert status == 0
    assert time.monotonic() - began < 30  # the job itself would take many minutes
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", int(program.base.split(":")[2].strip("/"))), timeout=5)


def test_whoever_leaves_ends_what_was_asked(program: Program, cat: bytes) -> None:
    job = program.job("explain?methods=rise:samples%3D200000", cat)
    with program.ask(f"api/job/{job}") as stream:
        while b"started" not in stream.readline():
            pass
    events = program.read(f"api/job/{program.job('predict', cat)}").decode()
    assert "event: done" in events


def test_two_pages_are_served_side_by_side(program: Program, cat: bytes) -> None:
    jobs = [program.job("predict", cat) for _ in range(2)]
    answers = [program.read(f"api/job/{job}").decode().rpartition("data: ")[2] for job in reversed(jobs)]
    assert json.loads(answers[0])["predictions"] == json.loads(answers[1])["predictions"]


def test_a_port_that_is_taken_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        words = [sys.executable, "-m", "backlight", "app", *SMALL, "--port", port]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert f"--port {port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_beyond_this_machine_it_asks_for_a_token() -> None:
    words = [sys.executable, "-m", "backlight", "app", *SMALL, "--host", "0.0.0.0"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "--token" in done.stderr
