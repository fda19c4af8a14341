"""The app as people start it: a process that says where it is."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from typing import Any
from urllib.request import Request, urlopen


class Program:
    """`backlight app` in a process of its own."""

    def __init__(self, *words: str) -> None:
        # Shells may have it ignored in what they start in the background.
        heeding = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
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

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()
