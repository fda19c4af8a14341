"""A few kills of each verb (`make torture` does many), and that the harness notices what is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tools.torture.outputs import differences, leftovers, snapshot
from tools.torture.table import table
from tools.torture.verbs import VERBS

ROOT = Path(__file__).parents[1]


MINUTES = {"audit", "corruptions"}
"""Verbs of which a trial takes minutes: `make torture` kills them."""


@pytest.mark.slow
@pytest.mark.parametrize("verb", [one for one in VERBS if one not in MINUTES])
def test_three_kills_lose_leave_and_change_nothing(verb: str, tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    words = ("--only", verb, "--kills", "3", "--plain", "0", "--folder", tmp_path, "--results", results)
    done = subprocess.run(
        [sys.executable, "-m", "tools.torture", *map(str, words)], cwd=ROOT, capture_output=True, text=True
    )
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    assert [(one["kind"], one["wrong"]) for one in lines if one["wrong"]] == []
    assert done.returncode == 0, done.stdout + done.stderr
    assert {"SIGKILL", "SIGTERM", "SIGINT", "a folder that vanishes", "two at once"} <= {one["kind"] for one in lines}


def files(folder: Path, **content: str) -> dict[str, bytes]:
    folder.mkdir()
    for name, text in content.items():
        (folder / name.replace("_", ".")).write_text(text)
    return snapshot(folder)


def test_clocks_are_left_out_and_nothing_else(tmp_path: Path) -> None:
    page = "<p>{} s, 3 of 4</p><code>backlight report --out x{}</code>"
    alone = files(
        tmp_path / "a", a_json='{"n": 1, "seconds": 2.5, "command": "x"}', b_html=page.format("1.5", ""), c_txt="7 s"
    )
    same = files(
        tmp_path / "b",
        a_json='{"n": 1, "seconds": 9, "command": "x --resume"}',
        b_html=page.format("20", " --resume"),
        c_txt="7 s",
    )
    other = files(tmp_path / "c", a_json='{"n": 2, "seconds": 2.5}', b_html=page.format("1.5", " -v"), d_txt="7 s")
    assert differences(alone, same) == []
    assert differences(alone, other) == ["c.txt is missing", "d.txt is there", "a.json differs", "b.html differs"]


def test_leftovers_are_what_nobody_looks_for(tmp_path: Path) -> None:
    for name in ("out/.page.0123456789ab.html", "out/x.claim", "run/lock.json", "run/log.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert leftovers(tmp_path) == ["out/.page.0123456789ab.html", "out/x.claim", "run/lock.json"]


def test_the_table_counts_what_was_wrong() -> None:
    lines = [
        {"verb": "train", "kind": "SIGINT", "ended": ended, "wrong": wrong}
        for ended, wrong in (("killed", []), ("?", ["x"]))
    ]
    assert table(lines).splitlines()[-1] == "| train | SIGINT | 2 | 1 | 0 | 0 | 1 | 1 |"
