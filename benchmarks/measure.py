"""Time ours and a peer in turn on the same work, and print each figure as a JSON line and as a table for people."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from backlight.core.allocator import keep_memory

Work = Callable[[], object]


@dataclass(frozen=True)
class Figure:
    """One measured figure; `ratio` is how many times better ours is, `ok` whether it reaches `goal`."""

    name: str
    ours: float
    peer: float | None
    peer_name: str
    unit: str
    ratio: float | None
    goal: float | None
    ok: bool
    n: int
    note: str = ""
    spread: tuple[float, float] | None = None
    """The least and the most of ours, and of the peer's, where either was run several times."""
    peer_spread: tuple[float, float] | None = None


class Times(float):
    """What was picked of the seconds of several runs, with their `spread` from least to most.

    >>> Times(2.0, [1.0, 2.0, 4.0]).spread
    (1.0, 4.0)
    """

    spread: tuple[float, float]

    def __new__(cls, picked: float, runs: Sequence[float]) -> Times:
        made = super().__new__(cls, picked)
        made.spread = (min(runs), max(runs))
        return made


@dataclass
class Clock:
    """What the figures are read from: wall time, or with `--cpu-time` the processor time of this process."""

    read: Callable[[], float] = time.perf_counter


CLOCK = Clock()


def arguments(description: str) -> argparse.Namespace:
    """Read the options that every benchmark has: `--quick`, `--only NAME` and `--cpu-time`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="less work and fewer runs, to see that it runs")
    parser.add_argument("--only", default="", help="only figures whose name contains this")
    parser.add_argument(
        "--cpu-time", action="store_true", help="processor time on one thread, where the machine does other work too"
    )
    given = parser.parse_args()
    keep_memory()  # for the peer as for ours: both work in this process
    if given.cpu_time:
        torch.set_num_threads(1)
        CLOCK.read = time.process_time
    return given


def seconds(work: Work) -> float:
    """Time one run of `work` in seconds."""
    start = CLOCK.read()
    work()
    return CLOCK.read() - start


def in_turn(
    works: dict[str, Work], runs: int, warm: bool = True, pick: Callable[[list[float]], float] = statistics.median
) -> dict[str, Times]:
    """Run every work `runs` times, one after the other in each round; give each one's median, or `pick`, of seconds."""
    if warm:
        for work in works.values():
            work()
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(runs):
        for name, work in works.items():
            times[name].append(seconds(work))
    return {name: Times(pick(found), found) for name, found in times.items()}


def faster(
    name: str, ours: float, peer: float, peer_name: str, *, goal: float | None, n: int, unit: str = "s", note: str = ""
) -> Figure:
    """Compare two figures of which the smaller is better; `goal` is the least ratio peer / ours."""
    ratio = peer / ours
    spreads = (getattr(ours, "spread", None), getattr(peer, "spread", None))
    # Plain numbers: times with a spread of their own cannot be copied, as writing a figure does.
    pair = float(ours), float(peer)
    return Figure(name, *pair, peer_name, unit, ratio, goal, goal is None or ratio >= goal, n, note, *spreads)


def at_most(name: str, ours: float, goal: float, *, unit: str, n: int, note: str = "") -> Figure:
    """State a figure that must not exceed `goal`; there is no peer."""
    return Figure(name, ours, None, "", unit, None, goal, ours <= goal, n, note)


def at_least(name: str, ours: float, goal: float, *, unit: str, n: int, note: str = "") -> Figure:
    """State a figure that must reach `goal`; there is no peer."""
    return Figure(name, ours, None, "", unit, None, goal, ours >= goal, n, note)


def show(figures: Iterable[Figure]) -> None:
    """Print one JSON line per figure as it comes, then a table."""
    found = []
    for figure in figures:
        print(json.dumps(asdict(figure)), flush=True)
        found.append(figure)
    print(f"\n{machine()}")
    header = ("figure", "ours", "peer", "unit", "ratio", "goal", "ok", "n", "note")
    rows = [header, *(_row(figure) for figure in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(header) - 1)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        print("  ".join([*cells, row[-1]]).rstrip())


def _row(figure: Figure) -> tuple[str, ...]:
    def number(value: float | None) -> str:
        return "-" if value is None else f"{value:.4g}"

    peer = number(figure.peer) + (f" ({figure.peer_name})" if figure.peer_name else "")
    ok = "yes" if figure.ok else "NO"
    ratio = number(figure.ratio)
    return (
        figure.name,
        number(figure.ours) + _between(figure.spread),
        peer + _between(figure.peer_spread),
        figure.unit,
        ratio,
        number(figure.goal),
        ok,
        str(figure.n),
        figure.note,
    )


def _between(spread: tuple[float, float] | None) -> str:
    return "" if spread is None else f" ({spread[0]:.3g} to {spread[1]:.3g})"


def machine() -> str:
    """Name what the figures were measured on."""
    clock = "wall time" if CLOCK.read is time.perf_counter else "processor time"
    threads = torch.get_num_threads()
    return f"{os.cpu_count()} cores {platform.machine()}, torch {torch.__version__}, {threads} threads, {clock}"


def data_folder() -> Path | None:
    """Find the real data by BACKLIGHT_DATA, or return None where there is none."""
    folder = Path(os.environ.get("BACKLIGHT_DATA") or (Path(__file__).parents[2] / "shared" / "data"))
    return folder if folder.is_dir() else None
