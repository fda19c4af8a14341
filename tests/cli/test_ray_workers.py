"""Workers of a real Ray: the bytes of one process, whichever actor is killed, and no pool that takes every CPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import CommandLine
from tests.cli.test_workers import FACTORY, Verb, alone, documents, environment_of

pytest.importorskip("ray")
pytestmark = pytest.mark.slow

# As `--engine ray` starts it, but with as many CPUs as the test is about.
DRIVER = """
import logging, sys
import ray
ray.init(num_cpus=int(sys.argv.pop(1)), include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
from backlight.cli import main
main()
"""


@pytest.fixture(scope="module")
def factory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "net.py"
    path.write_text(FACTORY)
    return path


def run(verb: Verb, cpus: int, *more: object, fault: str = "") -> subprocess.CompletedProcess[str]:
    words = [*verb.words, "--engine", "ray", *map(str, more)]
    command = [sys.executable, "-c", DRIVER, str(cpus), *words]
    # Ray's processes give way to all others, which on a busy machine starves them.
    environment = environment_of(verb, fault) | {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=580, check=False)


def told(ran: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in ran.stderr.splitlines() if line.startswith(("worker", "backlight:"))]


def test_actors_leave_the_bytes_of_one_process(backlight: CommandLine, factory: Path, tmp_path: Path) -> None:
    one, two = alone(backlight, "evaluate", factory, tmp_path / "one"), Verb("evaluate", factory, tmp_path / "two")
    ran = run(two, 4, "--workers", 2, "--json")
    assert ran.returncode == 0, ran.stderr
    assert told(ran) == []
    assert json.loads(ran.stdout)["n"] == 60
    assert two.parts == one.parts
    assert documents(two.out) == documents(one.out)


def test_the_blocks_of_a_killed_actor_are_done_by_the_other(
    backlight: CommandLine, factory: Path, tmp_path: Path
) -> None:
    one, two = alone(backlight, "evaluate", factory, tmp_path / "one"), Verb("evaluate", factory, tmp_path / "two")
    ran = run(two, 4, "--workers", 2, fault="kill the worker")
    assert ran.returncode == 0, ran.stderr
    (line,) = told(ran)
    assert line.startswith("worker 1 (process ")
    assert "was ended: its worker process has died; its blocks are done by" in line
    assert two.parts == one.parts


def test_a_pool_that_would_take_every_cpu_is_made_smaller_or_refused(
    backlight: CommandLine, factory: Path, tmp_path: Path
) -> None:
    one, two = alone(backlight, "evaluate", factory, tmp_path / "one"), Verb("evaluate", factory, tmp_path / "two")
    ran = run(two, 2, "--workers", 2)
    assert ran.returncode == 0, ran.stderr
    (line,) = told(ran)
    assert line.startswith("worker 2 was not started: Ray has room for 1, with one CPU of 2 left free; its blocks are")
    assert two.parts == one.parts
    refused = run(Verb("evaluate", factory, tmp_path / "none"), 1, "--workers", 1)
    assert refused.returncode == 2
    assert told(refused)[-1].startswith("backlight: --engine ray: 1 of Ray's CPUs are free; expected 2 or more")
