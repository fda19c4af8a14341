"""Kill the program at random moments, go on, and see that nothing is lost, left or changed.

    python -m tools.torture                        30 kills of each verb (`make torture`)
    python -m tools.torture --only train --kills 9 --seed 1

A trial runs a verb on tiny inputs, sends it SIGKILL, SIGTERM or SIGINT at a moment that the seed chooses, runs the
command that was printed (or the same again), and compares all files and the document with a run that was left alone
(`outputs.py` says what is left out: clocks). Results are lines of JSON in `--results`: a run that was stopped goes on
behind them as long as program, seed and number of kills are the same. The exit status is 1 where anything was wrong.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tools.torture.table import table

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Run what is asked for and print a table."""
    # Before torch is imported: a process with one thread can be forked.
    os.environ["OMP_NUM_THREADS"] = "1"
    from tools.torture.processes import warm_up
    from tools.torture.session import Asked, trials
    from tools.torture.verbs import VERBS

    given = _parser(VERBS).parse_args()
    warm_up()
    asked = Asked(given.kills, given.plain, given.seed, not given.no_places)
    verbs = [VERBS[name] for name in given.only or VERBS]
    key = {"program": _program(), "seed": asked.seed, "kills": asked.kills, "plain": asked.plain}
    lines = {(one["verb"], one["kind"], one["number"]): one for one in _read(given.results, key)}
    given.results.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="torture-", dir=given.folder) as folder:
        for one in trials(Path(folder), verbs, asked, lines):
            lines[one.verb, one.kind, one.number] = one.to_json()
            with given.results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(key | one.to_json()) + "\n")
            for wrong in one.wrong:
                print(
                    f"{one.verb} {one.number} {one.kind} at {one.moment} s ({one.ended}, {one.then}): {wrong}",
                    flush=True,
                )
    print(table(one for one in lines.values() if one["verb"] in {verb.name for verb in verbs}))
    return int(any(one["wrong"] for one in lines.values()))


def _parser(verbs: Iterable[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30, help="of each verb")
    parser.add_argument("--plain", type=int, default=2, help="how many of them of `python -m backlight`")
    parser.add_argument("--only", action="append", choices=[*verbs], help="one verb; may be repeated")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-places", action="store_true", help="no full, read-only or vanishing folders")
    parser.add_argument("--results", type=Path, default=ROOT / "build" / "torture.jsonl")
    memory = Path("/dev/shm")
    parser.add_argument("--folder", type=Path, default=memory if memory.is_dir() else None, help="where to work")
    return parser


def _program() -> str:
    """Return a fingerprint of the program's code: what was found out about another one says nothing."""
    digest = hashlib.blake2b(digest_size=8)
    for path in sorted((ROOT / "backlight").rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _read(path: Path, key: Mapping[str, object]) -> list[dict[str, Any]]:
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    return [one for one in map(json.loads, lines) if all(one.get(name) == value for name, value in key.items())]


if __name__ == "__main__":
    sys.exit(main())
