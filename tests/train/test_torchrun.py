"""Training under real agents of torchrun: two nodes at addresses of their own, processes that are killed on the way."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from backlight.runs.folder import RunFolder
from backlight.runs.log import read_log
from tests.train.nets import same, state_of

ROOT = Path(__file__).parents[2]
WORDS = ["train", "--data", "shapes:n=320,size=8,classes=2", "--model", "strided_cnn", "--epochs", "2"]
WORDS += ["--batch-size", "4", "--save-every", "0s", "--quiet"]  # 64 steps an epoch; kept after 50, 64, 100 and 128

# The command line, in which a process dies once: in the middle of an epoch, or when half of a state is written.
FAULTY = """
import os, signal
from pathlib import Path
from backlight.cli import main
from backlight.core.atomic import atomic
from backlight.runs import folder
from backlight.train.trainer import Trainer

fault, happened = os.environ.get("FAULT"), Path(f"{__file__}.happened")
step, write = Trainer.step, folder.write_bytes

def die():
    happened.touch()
    os.kill(os.getpid(), signal.SIGKILL)

def taken(trainer, batch, number, rate):
    if trainer.engine.is_main:
        with open(f"{__file__}.steps", "a") as steps:
            print(number, file=steps)
    if fault == "the second" and number == 60 and trainer.engine.rank == 1 and not happened.exists():
        die()
    return step(trainer, batch, number, rate)

def written(path, data):
    if fault == "the main one" and path.name == "state.pt" and path.exists() and not happened.exists():
        if Path(f"{__file__}.steps").read_text().endswith("\\n99\\n"):
            with atomic(path) as temporary:
                temporary.write_bytes(data[: len(data) // 2])
                die()
    write(path, data)

Trainer.step, folder.write_bytes = taken, written
main()
"""


def train_on_two_nodes(folder: Path, *, fault: str = "") -> None:
    """Run the command under two agents at two addresses, which start its processes again when one is killed."""
    (folder / "faulty.py").write_text(FAULTY)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "FAULT": fault}
    agents = [
        subprocess.Popen(
            [
                *(
                    sys.executable,
                    "-m",
                    "torch.distributed.run",
                    "--nnodes=2",
                    "--nproc-per-node=1",
                    "--max-restarts=3",
                ),
                *("--rdzv-backend=c10d", f"--rdzv-endpoint=127.0.0.1:{port}", f"--local-addr={address}"),
                *(str(folder / "faulty.py"), *WORDS, "--out", str(folder / "run")),
            ],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for address in ("127.0.0.1", "127.0.0.2")
    ]
    try:
        told = [agent.communicate(timeout=300)[0] for agent in agents]
    finally:
        for agent in agents:
            agent.terminate()  # it ends its processes too
    assert [agent.returncode for agent in agents] == [0, 0], told
    assert f'File "{ROOT / "backlight"}' not in "".join(told)
    assert sum(f"{folder / 'run'}: epoch" in one for one in told) == 1, told


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train on two nodes on which nothing happens."""
    folder = tmp_path_factory.mktemp("whole")
    train_on_two_nodes(folder)
    return folder


def lines(folder: Path) -> list[dict[str, Any]]:
    """Read a run's log without what the clock and the machine decide."""
    ours = ("kind", "step", "epoch", "loss", "accuracy", "top5", "lr", "val_loss", "val_accuracy", "val_top5")
    return [{name: line[name] for name in ours if name in line} for line in read_log(folder / "run" / "log.jsonl")]


def difference(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    return max(float((one[name] - other[name]).abs().max()) for name in one)


@pytest.mark.slow
def test_two_nodes_train_what_one_process_does(whole: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "backlight", *WORDS, "--out", str(tmp_path / "run")]
    subprocess.run(command, env=environment, check=True, timeout=300, capture_output=True)
    alone, two = RunFolder(tmp_path / "run"), RunFolder(whole / "run")
    for name in ("epoch-01", "epoch-02", "best", "last"):
        assert difference(alone.load_weights(name), two.load_weights(name)) < 2e-5  # in float32, after 128 steps
    assert difference(two.load_weights("epoch-01"), two.load_weights("last")) > 1e-3
    for one, other in zip(lines(tmp_path), lines(whole), strict=True):
        assert one == pytest.approx(other, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "kept", "reached"), [("the second", 50, 60), ("the main one", 64, 100)])
def test_after_a_kill_the_same_command_goes_on_from_the_last_state(
    whole: Path, tmp_path: Path, fault: str, kept: int, reached: int
) -> None:
    train_on_two_nodes(tmp_path, fault=fault)
    steps = [int(number) for number in (tmp_path / "faulty.py.steps").read_text().split()]
    begun = steps.index(kept, kept + 1)
    assert steps[begun:] == [*range(kept, 128)]
    assert begun in (reached, reached + 1)  # whoever does not die is ended before its next step or in it
    assert same(state_of(tmp_path / "run")["trainer"], state_of(whole / "run")["trainer"])
    assert lines(tmp_path) == lines(whole)
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {path.name for path in (whole / "run").iterdir()}
