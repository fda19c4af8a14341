"""Workers and shards as real processes: the bytes of one process, whoever is killed on the way."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from backlight.data import load_data
from backlight.images import write_png
from backlight.sweep.claims import EXPIRED, SUFFIX, Claim, read_claim
from tests.cli.running import CommandLine

DATA = "shapes:n=60,size=16,classes=3"

# Blocks are small whatever a picture costs. What FAULT names happens in all workers but the last: in the first once
# there is a part, in the second once there are two. Each waits until it has happened in those before it.
FACTORY = """
import os, signal, sys, time
from pathlib import Path
import torch
from torch import nn
from backlight import Classifier
from backlight.sweep import cost

cost.SECONDS, cost._FEWEST_VALUES = 1e-9, 8 * 3 * 16 * 16

class Faulty(nn.Module):
    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.net = nn.Sequential(
                nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 3)
            )

    def forward(self, images):
        fault, folder = os.environ.get("FAULT"), Path(os.environ.get("BLOCKS", ""))
        if fault and "--worker" in sys.argv:
            worker = sys.argv[sys.argv.index("--worker") + 1]
            self.fail(fault, folder, *map(int, worker.split("/")))
        return self.net(images)

    def fail(self, fault, folder, number, count):
        happened = [Path(f"{folder}.fault-{one}") for one in range(1, count)]
        while not all(one.exists() for one in happened[: number - 1]):
            time.sleep(0.05)  # or it might have done all blocks before the others have begun
        if number < count and len([*folder.glob("*.parquet")]) >= number:
            happened[number - 1].touch()
            if fault == "kill the worker":
                os.kill(os.getpid(), signal.SIGKILL)
            os.kill(os.getppid(), signal.SIGKILL if fault == "kill the driver" else signal.SIGTERM)
            signal.pause()

def net():
    return Classifier.from_module(Faulty(), size=16, labels=["circle", "square", "triangle"])
"""

SWEEPS = {
    "evaluate": (),
    "predict": ("--batch-size", "8"),
    "explain": ("--methods", "saliency"),
    "robustness": ("--attack", "autoattack", "--eps", "1/255", "--limit", "16"),
    "corruptions": ("--kinds", "fog", "--severities", "1"),
    "transfer": ("--attack", "mi:steps=1"),
    "universal": ("--epochs", "1"),
    "certify": ("--method", "smoothing:n=20,n0=5", "--no-attack"),
    "audit": ("--depth", "quick"),
}


@dataclass(frozen=True)
class Verb:
    """A verb over a data set, the folder that it writes, and the processes that run it."""

    name: str
    factory: Path
    out: Path

    @property
    def words(self) -> list[str]:
        models = ("--model", f"{self.factory}:net") * (2 if self.name == "transfer" else 1)
        data = (self.factory.parent / "pictures",) if self.name == "predict" else ("--data", DATA, "--split", "all")
        return [*map(str, (self.name, *data, *models, *SWEEPS[self.name])), "--out", str(self.out)]

    @property
    def blocks(self) -> Path:
        return self.out / f"{self.name}-blocks"

    @property
    def parts(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted(self.blocks.iterdir())}

    def run(self, *more: object, fault: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "backlight", *self.words, *map(str, more)]
        environment = environment_of(self, fault)
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


def environment_of(verb: Verb, fault: str) -> dict[str, str]:
    """Return the environment of a verb in processes of its own, in which a fault happens."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    return environment | {"FAULT": fault, "BLOCKS": str(verb.blocks)}


@pytest.fixture(scope="module")
def factory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "net.py"
    path.write_text(FACTORY)
    data = load_data(DATA)
    for name, image in zip(data.ids, data[range(len(data))].images, strict=True):
        write_png(path.parent / "pictures" / f"{name}.png", image)
    return path


def alone(backlight: CommandLine, name: str, factory: Path, out: Path) -> Verb:
    """Run a verb in this process, which nothing disturbs."""
    verb = Verb(name, factory, out)
    ran = backlight(*verb.words)
    assert ran.status == 0, ran.err
    assert len(verb.parts) > 4
    return verb


def documents(out: Path) -> dict[str, object]:
    """Read every document of a folder, without what time, the folder's name and the command decide."""
    return {path.name: settled(json.loads(path.read_text().replace(str(out), "OUT"))) for path in out.glob("*.json")}


def settled(document: object) -> object:
    if isinstance(document, list):
        return [settled(one) for one in document]
    if isinstance(document, dict):
        return {name: settled(one) for name, one in document.items() if not re.search("seconds|command|^cost$", name)}
    return document


@pytest.mark.slow
@pytest.mark.parametrize(("name", "workers"), [("evaluate", 1), ("evaluate", 7), *((one, 2) for one in SWEEPS)])
def test_workers_leave_the_bytes_of_one_process(
    backlight: CommandLine, factory: Path, tmp_path: Path, name: str, workers: int
) -> None:
    one = alone(backlight, name, factory, tmp_path / "one")
    several = Verb(name, factory, tmp_path / "several")
    ran = several.run("--workers", workers)
    assert ran.returncode == 0, ran.stderr
    assert "worker" not in ran.stderr
    assert several.parts == one.parts
    assert documents(several.out) == documents(one.out)


@pytest.mark.slow
def test_the_blocks_of_a_killed_worker_are_done_by_the_other(
    backlight: CommandLine, factory: Path, tmp_path: Path
) -> None:
    one, two = alone(backlight, "evaluate", factory, tmp_path / "one"), Verb("evaluate", factory, tmp_path / "two")
    ran = two.run("--workers", 2, fault="kill the worker")
    assert ran.returncode == 0, ran.stderr
    (line,) = [line for line in ran.stderr.splitlines() if line.startswith("worker 1")]
    assert "was ended by SIGKILL" in line
    assert two.parts == one.parts


@pytest.mark.slow
@pytest.mark.parametrize("name", ["evaluate", "predict"])
def test_after_two_kills_in_one_run_the_parts_are_those_of_one_process(
    backlight: CommandLine, factory: Path, tmp_path: Path, name: str
) -> None:
    one, three = alone(backlight, name, factory, tmp_path / "one"), Verb(name, factory, tmp_path / "three")
    ran = three.run("--workers", 3, fault="kill the worker")
    assert ran.returncode == 0, ran.stderr
    lines = sorted(line for line in ran.stderr.splitlines() if line.startswith("worker "))
    assert [line.split()[1] for line in lines] == ["1", "2"]
    assert all("was ended by SIGKILL" in line for line in lines)
    assert three.parts == one.parts
    assert documents(three.out) == documents(one.out)


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "status"), [("kill the driver", -signal.SIGKILL), ("stop the driver", 130)])
def test_workers_end_with_the_driver_and_a_resumed_run_has_the_same_bytes(
    backlight: CommandLine, factory: Path, tmp_path: Path, fault: str, status: int
) -> None:
    one, two = alone(backlight, "evaluate", factory, tmp_path / "one"), Verb("evaluate", factory, tmp_path / "two")
    ran = two.run("--workers", 2, fault=fault)
    assert ran.returncode == status, ran.stderr
    until = time.monotonic() + 60
    while any(map(read_claim, two.blocks.glob(f"*{SUFFIX}"))):
        assert time.monotonic() < until, "a worker outlives its driver"
    assert any(two.blocks.glob("*.parquet"))
    if fault == "stop the driver":
        (line,) = [line for line in ran.stderr.splitlines() if line.startswith("resume with: ")]
        assert shlex.split(line.removeprefix("resume with: "))[-3:] == ["--workers", "2", "--resume"]
    again = two.run("--workers", 2, "--resume")
    assert again.returncode == 0, again.stderr
    assert two.parts == one.parts


@pytest.mark.slow
def test_a_corrupted_part_is_one_sentence_and_a_dead_claim_costs_nothing(
    backlight: CommandLine, factory: Path, tmp_path: Path
) -> None:
    one, two = alone(backlight, "evaluate", factory, tmp_path / "one"), Verb("evaluate", factory, tmp_path / "two")
    assert two.run("--shard", "1/2").returncode == 0
    left = sorted(path.stem for path in one.blocks.glob("*.parquet") if not (two.blocks / path.name).exists())
    dead, gone = (two.blocks / f"{stem}{SUFFIX}" for stem in left[:2])
    dead.write_text(json.dumps(vars(Claim.own()) | {"began": "at another time"}))
    gone.write_text(json.dumps(vars(Claim.own()) | {"host": "another"}))
    os.utime(gone, (time.time() - EXPIRED - 1,) * 2)
    part = next(two.blocks.glob("*.parquet"))
    part.write_bytes(part.read_bytes()[:40])
    ran = two.run("--workers", 2, "--resume")
    assert ran.returncode == 2
    last = ran.stderr.splitlines()[-1]
    assert last.startswith(f"backlight: {part}: is no finished block")
    assert "delete it and run again" in last
    part.unlink()
    ran = two.run("--workers", 2, "--resume")
    assert ran.returncode == 0, ran.stderr
    assert two.parts == one.parts


@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=pytest.mark.slow if one != "evaluate" else ()) for one in SWEEPS]
)
def test_shards_write_parts_only_and_the_same_without_them_reduces(
    backlight: CommandLine, factory: Path, tmp_path: Path, name: str
) -> None:
    one, array = alone(backlight, name, factory, tmp_path / "one"), Verb(name, factory, tmp_path / "array")
    for _ in range(6):  # an attack in stages takes as many rounds
        entries = [backlight(*array.words, "--shard", f"{entry}/3", "--json") for entry in (3, 1, 2)]
        assert [entry.status for entry in entries] == [0] * 3, entries[0].err
        assert not (array.out / "report.html").exists()
        if "done" not in entries[-1].json:
            break
    assert "blocks" not in entries[-1].json
    ran = backlight(*array.words, "--resume")
    assert ran.status == 0, ran.err
    assert array.parts == one.parts
    assert documents(array.out) == documents(one.out)


def test_a_shard_tells_what_is_done_and_what_makes_the_page(
    backlight: CommandLine, factory: Path, tmp_path: Path
) -> None:
    verb = Verb("evaluate", factory, tmp_path / "out")
    ran = backlight(*verb.words, "--shard", "1/4")
    assert ran.status == 0
    assert "share 1/4 is done (2 blocks); 2 of 8 blocks are finished" in ran.out
    assert f"--out {verb.out} --resume" in ran.out
    assert backlight(*verb.words, "--shard", "1/4", "--json").json["done"] == 2
    refused = backlight(*verb.words)
    assert refused.status == 2
    assert "holds finished blocks" in refused.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--shard", "0/4"), "K/N"),
        (("--shard", "5/4"), "K/N"),
        (("--shard", "1/2", "--workers", "2"), "one of the two"),
        (("--workers", "2", "--engine", "loacl"), "local"),
        (("--workers", "0"), "--workers"),
    ],
)
def test_wrong_words_are_told_before_any_work(
    backlight: CommandLine, factory: Path, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    verb = Verb("evaluate", factory, tmp_path / "out")
    ran = backlight(*verb.words, *words)
    assert ran.status == 2
    assert said in ran.err
    assert not verb.out.exists()


@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=() if one in ("evaluate", "explain") else pytest.mark.slow) for one in SWEEPS]
)
def test_a_plan_is_told_and_nothing_is_written(
    backlight: CommandLine, factory: Path, tmp_path: Path, name: str
) -> None:
    verb = Verb(name, factory, tmp_path / "out")
    ran = backlight(*verb.words, "--plan", "--cents", 5, "--workers", 2, "--json")
    assert ran.status == 0, ran.err
    assert (ran.json["workers"], ran.json["cents_per_core_hour"]) == (2, 5)
    first = ran.json["plan"][0]
    assert first["pictures"] >= first["size"] >= 1
    if name != "universal":  # learning is one whole
        assert min(first[key] for key in ("seconds", "memory", "disk", "core_hours", "price_per_million")) > 0
    assert not verb.out.exists()
    words = "not known before" if name == "universal" else "per million pictures at 4 cents"
    assert words in backlight(*verb.words, "--plan").out


def test_a_plan_of_two_models_is_of_both(backlight: CommandLine, factory: Path, tmp_path: Path) -> None:
    verb = Verb("evaluate", factory, tmp_path / "out")
    ran = backlight(*verb.words, "--model", f"{factory}:net", "--plan", "--json")
    assert len(ran.json["plan"]) == 2
