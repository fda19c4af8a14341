"""Run scripts in processes of their own, alone or several that know of each other, as torchrun would start them."""

from __future__ import annotations

import atexit
import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Timer

# It imports torch once and forks for every script; it never computes, so that its forks may.
LAUNCHER = """
import json, os, sys, traceback
import torch
import backlight.core.processes
torch.set_num_threads(1)

def child(run):
    number = os.fork()
    if number == 0:
        status = 1
        try:
            run()
            status = 0
        except SystemExit as stop:
            status = stop.code or 0
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return number

def wait(number):
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])

def script(asked, more):
    os.environ |= more
    sys.argv = ["script", *asked["arguments"]]
    exec(compile(asked["source"], "script", "exec"), {"__name__": "__main__"})
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()

def answer(asked):
    os.setsid()
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(os.path.join(asked["folder"], name), os.O_WRONLY | os.O_CREAT), number)
    os.chdir(asked["here"])
    os.environ.clear()
    os.environ |= asked["environment"]
    if not asked["world"]:
        return script(asked, {})
    children = [
        child(lambda: script(asked, {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(asked["world"])}))
        for rank in range(asked["world"])
    ]
    sys.exit(int(any([wait(one) for one in children])))

for line in sys.stdin:
    asked = json.loads(line)
    started = child(lambda: answer(asked))
    print(started, flush=True)
    print(wait(started), flush=True)
"""


@dataclass(frozen=True)
class Ended:
    """How a process ended, as `subprocess` says it, and what it printed."""

    status: int
    out: str
    err: str


@cache
def _launcher() -> subprocess.Popen[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[1])}
    started = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    atexit.register(started.communicate)
    return started


def run_script(source: str, *arguments: object, world: int = 0, timeout: float = 120, **environment: str) -> Ended:
    """Run `source` in a process, or in `world` ranks; what outlasts the time is killed with all its children."""
    launcher = _launcher()
    assert launcher.stdin is not None
    assert launcher.stdout is not None
    with TemporaryDirectory() as folder:
        asked = {"source": source, "arguments": [*map(str, arguments)], "world": world, "folder": folder}
        asked |= {"here": os.getcwd(), "environment": os.environ | {"OMP_NUM_THREADS": "1"} | environment}
        print(json.dumps(asked), file=launcher.stdin, flush=True)
        started = int(launcher.stdout.readline())
        timer = Timer(timeout, lambda: os.killpg(started, 9))
        timer.start()
        status = int(launcher.stdout.readline())
        timer.cancel()
        return Ended(status, *((Path(folder) / name).read_text() for name in ("out", "err")))


def run_processes(source: str, world: int = 2, timeout: float = 120) -> str:
    """Run `source` in `world` CPU processes (gloo); return what they printed, or fail."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    apart = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo"}
    done = run_script(source, world=world, timeout=timeout, **apart)
    assert done.status == 0, done.err[-4000:]
    return done.out
