"""Give hostile inputs to every loader and grammar, and see that each is read or refused in one sentence.

    python -m tools.fuzz                                  20,000 inputs, about a quarter of an hour
    python -m tools.fuzz --only npz --count 2000 --seed 1 those of one loader, another seed
    python -m tools.fuzz --only npz --number 31           one input: what it is, and what comes of it

What came of each input is kept in a log, and a run that was stopped goes on from there. A failure is reduced and saved
below tests/fuzz/found/, where a test replays it. The exit status is 1 where there was one.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
os.environ |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "BACKLIGHT_PLUGINS": "0"}
sys.dont_write_bytecode = True

from tools.fuzz.campaign import Campaign
from tools.fuzz.found import save
from tools.fuzz.inputs import Files, lay_out
from tools.fuzz.sandbox import Sandbox, imported_by
from tools.fuzz.targets import TARGETS, Target


def main() -> int:
    """Run a campaign, print its failures as they come and its table at the end."""
    asked = _arguments()
    targets = [target for name, target in TARGETS.items() if not asked.only or asked.only in name]
    if not targets:
        sys.exit(f"no loader {asked.only!r}; there are {', '.join(TARGETS)}")
    warm(targets)
    with Sandbox() as sandbox:
        if asked.number is not None:
            return _show(sandbox, targets[0], asked.seed, asked.number)
        campaign, known = Campaign(targets, asked.count, asked.seed, asked.log), set[str]()
        for target, number, verdict in campaign.run(sandbox):
            told = f"{target.name} {verdict.kind} {verdict.where}"
            if told not in known:
                known.add(told)
                saved = save(sandbox, target, target.input(asked.seed, number), verdict) if asked.save else ""
                print(
                    f"{target.name} number {number}: {verdict.kind} {verdict.where or verdict.detail} {saved}",
                    flush=True,
                )
    print(campaign.table())
    return int(any(line["kind"] not in ("read", "refused") for line in campaign.lines()))


def warm(targets: list[Target]) -> None:
    """Make the valid inputs, and import what reading them imports, so that no child has to."""
    for target in targets:
        files = target.valid[0]
        for name in imported_by(lambda target=target, files=files: _in_scratch(target, files)):
            try:
                importlib.import_module(name)
            except Exception:  # noqa: S112 - a module that is made when something runs
                continue


def _in_scratch(target: Target, files: Files) -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        lay_out(files, Path(folder))
        target.read(Path(folder))


def _show(sandbox: Sandbox, target: Target, seed: int, number: int) -> int:
    files = target.input(seed, number)
    for name, content in files.items():
        print(name, content if not isinstance(content, bytes) else f"{len(content)} bytes {content[:400]!r}")
    (verdict,) = sandbox.run(target.read, [files])
    print(f"{verdict.kind} {verdict.where}\n{verdict.detail}\n{verdict.seconds:.2f} s, {verdict.megabytes:.0f} MB")
    return int(verdict.fails)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.fuzz", description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=20_000, help="inputs in all, equally many for each loader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", metavar="LOADER", help="those with this in their name")
    parser.add_argument("--number", type=int, help="show one input of the first loader")
    parser.add_argument("--log", type=Path, default=ROOT / "fuzz-out" / "log.jsonl")
    parser.add_argument("--no-save", dest="save", action="store_false", help="do not reduce and save failures")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
