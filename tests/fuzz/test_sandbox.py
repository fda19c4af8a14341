"""The harness notices what it is there for: planted readers that raise, hang, fill memory, write, run or crash."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SCRIPT = """
import json, os, sys
from pathlib import Path
from backlight.core.errors import FileError
from tools.fuzz import limits, sandbox
from tools.fuzz.inputs import Stand

limits.CPU_SECONDS, limits.WALL_SECONDS, limits.MEMORY = 1, 3, 64 * 2**20
kept = []

def refuses(folder): raise FileError(folder / "a", "is no picture")
def raises(folder): raise ValueError("no")
def spins(folder):
    while True: pass
def waits(folder): (folder / "pipe").read_bytes()
def fills(folder):
    while True: kept.append(b"x" * 2**20)
def peaks(folder): len(b"x" * 2**27)
def leaves(folder): (folder / ".." / ".." / "escaped").write_text("x")
def removes(folder): os.remove("/tmp/no-such-file")
def runs(folder): os.system("true")
def marks(folder): os.mkfifo("../../executed")
def crashes(folder): os.kill(os.getpid(), 11)
def exits(folder): os._exit(0)
def asks(folder):
    import socket
    socket.create_connection(("127.0.0.1", 9))
def inside(folder): (folder / "b").write_text((folder / "a").read_text())

files = {"a": b"1", "pipe": Stand("pipe")}
with sandbox.Sandbox() as box:
    found = {}
    readers = (refuses, raises, spins, waits, fills, peaks, leaves, removes, runs, marks, crashes, exits, asks, inside)
    for read in readers:
        verdicts = box.run(read, [files, files])
        assert len({one.kind for one in verdicts}) == 1, verdicts
        found[read.__name__] = verdicts[0].kind
    either = lambda folder: raises(folder) if (folder / "bad").exists() else inside(folder)
    mixed = box.run(either, [files, {**files, "bad": b""}, files])
    found["mixed"] = [one.kind for one in mixed]
    found["where"] = box.run(raises, [files])[0].where
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found() -> dict[str, object]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("reader", "kind"),
    [
        ("inside", "read"),
        ("refuses", "refused"),
        ("raises", "raised"),
        ("spins", "hangs"),
        ("waits", "hangs"),
        ("fills", "over memory"),
        ("peaks", "over memory"),
        ("leaves", "wrote outside"),
        ("removes", "wrote outside"),
        ("runs", "wrote outside"),
        ("asks", "wrote outside"),
        ("marks", "executed"),
        ("crashes", "crashed"),
        ("exits", "crashed"),
    ],
)
def test_what_a_reader_does_is_noticed(found, reader, kind):
    assert found[reader] == kind


def test_one_input_of_several_is_blamed(found):
    assert found["mixed"] == ["read", "raised", "read"]
    assert found["where"].startswith("ValueError in")
