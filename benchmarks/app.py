"""How long the page waits for the program behind it, as a browser asks, and what 200 questions leave in memory.

    python benchmarks/app.py            five of each, the median, beside what is promised
    python benchmarks/app.py --quick    one of each, and 40 questions

The exit status is 1 where a promise is not kept; on a machine that does other work that says nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from backlight.report import sample_pictures

MOST_GROWTH, WARM_UP = 20.0, 20
AT_ONCE = 20


@dataclass(frozen=True)
class Promise:
    """A question, until which of its events it is timed, and how many milliseconds that may take."""

    name: str
    address: str
    until: str
    most: float


PROMISES = (
    Promise("first answer", "predict", "done", 300),
    Promise("a map (gradcam)", "explain?methods=gradcam", "done", 500),
    Promise("FGSM", "attack?method=fgsm&eps=2/255", "done", 700),
    Promise("PGD, its first frame", "attack?method=pgd:steps%3D20,stop%3Dfalse&eps=2/255", "frame", 500),
)


class Program:
    """`backlight app` with the embedded network, and the seconds until it said that it is ready."""

    def __init__(self) -> None:
        began = time.perf_counter()
        command = [sys.executable, "-u", "-m", "backlight", "app"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        found = re.search(r"(http://\S+?/)\?token=(\S+)", self.process.stdout.readline())
        assert found is not None
        self.seconds = time.perf_counter() - began
        self.base, self.token = found.groups()

    def ask(self, address: str, data: bytes | None = None, method: str | None = None) -> Iterator[bytes]:
        """Yield the lines of an answer."""
        asked = Request(f"{self.base}api/{address}", data, {"X-Backlight-Token": self.token}, method=method)
        with urlopen(asked, timeout=600) as answer:
            yield from answer

    def question(self, address: str, picture: bytes, until: str) -> float:
        """Ask as the page does; return the milliseconds until an event. What is left of the job is cancelled."""
        began = time.perf_counter()
        job = json.loads(b"".join(self.ask(address, picture)))["job"]
        for line in self.ask(f"job/{job}"):
            if line.strip() == f"event: {until}".encode():
                return 1000 * (time.perf_counter() - began)
        raise RuntimeError(f"{address} ended without {until}")

    def resident(self) -> float:
        """Return its resident memory in MB."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def waits(program: Program, picture: bytes, times: int) -> Iterator[tuple[str, float, float]]:
    """Yield each promise with the median of several waits, beside what is promised."""
    for promise in PROMISES:
        found = [program.question(promise.address, picture, promise.until) for _ in range(times)]
        yield promise.name, statistics.median(found), promise.most


def growth(program: Program, pictures: list[bytes], count: int) -> float:
    """Ask `count` questions in a row; return by how many MB memory grew after a warm-up."""
    before = 0.0
    for number in range(WARM_UP + count):
        if number == WARM_UP:
            before = program.resident()
        promise = PROMISES[number % 3]
        program.question(promise.address, pictures[number % len(pictures)], "done")
    return program.resident() - before


def answered_at_once(program: Program, picture: bytes) -> tuple[int, int]:
    """Ask twenty questions at once; return how many were answered and how many told to wait."""

    def one(_: int) -> bool:
        try:
            return program.question("predict", picture, "done") > 0
        except HTTPError as error:
            if error.code == 503:
                return False
            raise

    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(one, range(AT_ONCE)))
    return sum(found), AT_ONCE - sum(found)


def main() -> int:
    """Measure, and print each number beside what is promised."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one of each, and 40 questions")
    quick = parser.parse_args().quick
    pictures = [path.read_bytes() for path in sample_pictures()]
    program, rows = Program(), list[tuple[str, float, float, str]]()
    try:
        rows.append(("ready", program.seconds, 5, "s"))
        program.question("predict", pictures[0], "done")  # what warms the program up is done before it
        rows += [(*row, "ms") for row in waits(program, pictures[0], 1 if quick else 5)]
        count = 40 if quick else 200
        rows.append((f"growth in {count} questions", growth(program, pictures, count), MOST_GROWTH, "MB"))
        answered, waiting = answered_at_once(program, pictures[0])
    finally:
        program.process.terminate()
        program.process.wait()
    for name, value, most, unit in rows:
        print(f"{name:<28}{value:9.2f} {unit:<3} (at most {most:g})")
    print(f"{AT_ONCE} at once: {answered} answered, {waiting} told to wait")
    return int(any(value > most for _, value, most, _ in rows) or answered + waiting != AT_ONCE)


if __name__ == "__main__":
    sys.exit(main())
