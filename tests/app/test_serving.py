"""The program itself: it says where it is, answers there, and ends when it is told to, whatever goes on."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

pytestmark = pytest.mark.slow
SMALL = ("--model", "classic_cnn", "--random")


class Program:
    """`backlight app` in a process of its own."""

    def __init__(self, *words: str) -> None:
        heeding = (
            "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"  # shells may have it ignored
        )
        start = f"{heeding}; from backlight.cli import main; main()"
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-c", start, "app", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.said = self.process.stdout.readline()
        found = re.search(r"(http://\S+?/)\?token=(\S+)", self.said)
        assert found, self.said + self.process.communicate()[1]
        self.base, self.token = found.groups()

    def ask(self, path: str, data: bytes | None = None, token: str | None = None, method: str | None = None) -> Any:
        headers = {"X-Backlight-Token": token or self.token}
        return urlopen(Request(self.base + path, data, headers, method=method), timeout=60)

    def read(self, path: str, data: bytes | None = None, token: str | None = None) -> bytes:
        with self.ask(path, data, token) as answer:
            return answer.read()

    def job(self, verb: str, data: bytes) -> str:
        return json.loads(self.read(f"api/{verb}", data))["job"]

    def end(self, number: int = signal.SIGINT) -> tuple[int, str]:
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=60)
        return self.process.returncode, errors


@pytest.fixture
def program() -> Iterator[Program]:
    started = Program(*SMALL)
    yield started
    started.process.kill()
    started.process.communicate()


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
