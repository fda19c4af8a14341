"""Run all benchmarks, keep their figures, and say which are worse than those that were kept last.

python benchmarks/history.py [--quick] [--cpu-time] [--check]

What is kept is a line of `benchmarks/results/history.jsonl`: commit, date, machine, versions, mode and every figure. A
figure is worse where its ratio to the peer or the bare loop fell below 0.85 of the last one in the same mode, or where
it reached its goal before and does not now: seconds of another machine, or of another hour, say nothing. `--check` ends
with status 1 where one is, and keeps nothing.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from measure import machine

HERE = Path(__file__).parent
HISTORY = HERE / "results" / "history.jsonl"
FILES = ("core", "explain", "attack", "visualize", "layers", "train", "certify")
PACKAGES = ("torch", "torchvision", "timm", "captum", "torchattacks", "foolbox")
WORSE = 0.85
Figure = dict[str, Any]


def main() -> None:
    """Run, compare, and keep or check."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="less work and fewer runs")
    parser.add_argument("--cpu-time", action="store_true", help="processor time on one thread")
    parser.add_argument("--check", action="store_true", help="keep nothing; end with 1 where a figure is worse")
    given = parser.parse_args()
    options = [name for name, asked in (("--quick", given.quick), ("--cpu-time", given.cpu_time)) if asked]
    start = time.perf_counter()
    figures = [one for name in FILES for one in ran(name, options)]
    mode = " ".join(options) or "full"
    before = last(mode)
    found = list(worse(figures, before))
    print("\n".join(found) if before else f"nothing is kept of the mode {mode!r} to compare with")
    print(f"{len(figures)} figures in {time.perf_counter() - start:.0f} s, {len(found)} worse than the last ones")
    if given.check:
        sys.exit(1 if found else 0)
    entry = {**where(), "mode": mode, "seconds": round(time.perf_counter() - start), "figures": figures}
    with HISTORY.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")


def ran(name: str, options: Sequence[str]) -> Iterator[Figure]:
    """Run one file in a process of its own and pass its figures on; raises CalledProcessError where it fails."""
    command = [sys.executable, str(HERE / f"{name}.py"), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            if line.startswith("{"):
                yield {"file": name, **json.loads(line)}
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)


def last(mode: str) -> dict[str, Any] | None:
    """Return the entry that was kept last of a mode."""
    lines = HISTORY.read_text("utf-8").splitlines() if HISTORY.is_file() else []
    found = [one for one in map(json.loads, lines) if one["mode"] == mode]
    return found[-1] if found else None


def worse(figures: Sequence[Figure], before: dict[str, Any] | None) -> Iterator[str]:
    """Say which figures are worse than those of an entry.

    >>> old = {"figures": [{"file": "core", "name": "pgd", "ratio": 2.0, "ok": True}]}
    >>> list(worse([{"file": "core", "name": "pgd", "ratio": 1.5, "ok": True}], old))
    ['core: pgd: ratio 1.5 after 2']
    """
    known = {(one["file"], one["name"]): one for one in (before or {"figures": []})["figures"]}
    for one in figures:
        old = known.get((one["file"], one["name"]))
        if old is None:
            continue
        if one["ratio"] is not None and old["ratio"] is not None and one["ratio"] < WORSE * old["ratio"]:
            yield f"{one['file']}: {one['name']}: ratio {one['ratio']:.3g} after {old['ratio']:.3g}"
        elif old["ok"] and not one["ok"]:
            yield f"{one['file']}: {one['name']}: misses its goal, which it reached"


def where() -> dict[str, Any]:
    """Name the tree, the day, the machine and the versions that figures belong to."""
    asked = ["git", "-C", str(HERE), "describe", "--always", "--dirty"]
    commit = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    versions = {name: version(name) for name in PACKAGES}
    return {"commit": commit, "date": datetime.now(UTC).date().isoformat(), "machine": machine(), "versions": versions}


if __name__ == "__main__":
    main()
