"""Run a script in several processes that know of each other, as torchrun would start them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

LAUNCHER = """
import os, sys, traceback
import torch
import backlight.core.processes
torch.set_num_threads(1)
source, world = sys.stdin.read(), int(sys.argv[1])
children = []
for rank in range(world):
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world)}
            exec(compile(source, "script", "exec"), {"__name__": "__main__"})
            if torch.distributed.is_initialized():
                torch.distributed.destroy_process_group()
            status = 0
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    children.append(child)
failed = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
sys.exit(any(failed))
"""


def run_processes(source: str, world: int = 2, timeout: float = 120) -> str:
    """Run `source` in `world` CPU processes (gloo), torch imported once; return what they printed, or fail."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
        "GLOO_SOCKET_IFNAME": "lo",
    }
    done = subprocess.run(
        [sys.executable, "-c", LAUNCHER, str(world)],
        input=source,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout
