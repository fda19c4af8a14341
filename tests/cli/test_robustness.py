"""The verb `robustness`: interrupted, killed, resumed, continued at a larger eps, and in two processes."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from backlight.attack import block_sweeps
from backlight.cli import main
from backlight.sweep.parts import FolderParts
from backlight.table import Table
from tests.attack.test_evaluation import data
from tests.cli.running import CommandLine
from tests.processes import run_processes
from tests.report.reading import read

COUNT, BLOCK = 30, 10

# The model stops for ever, once a block is finished, until its process is killed.
FACTORY = """
import os, signal
from pathlib import Path
from torch import nn
from backlight import Classifier
from tests.attack.nets import sharp_net

class Holding(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = sharp_net().double()

    def forward(self, images):
        blocks = os.environ.get("HOLD_AFTER_A_BLOCK_IN")
        if blocks and any(Path(blocks).glob("*.parquet")):
            signal.pause()
        return self.net(images)

def net():
    return Classifier.from_module(Holding(), size=16, labels=[f"class {number}" for number in range(5)])
"""


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with a model and a data set."""
    folder = tmp_path_factory.mktemp("robustness")
    (folder / "net.py").write_text(FACTORY)
    rows = data(COUNT)
    images = rows.read(range(COUNT)).permute(0, 2, 3, 1).numpy()
    names = np.array([f"class {name}" for name in rows.label_names])
    np.savez(folder / "data.npz", X=images, y=rows.labels.numpy(), label_names=names)
    return folder


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_sweeps, "_BLOCK", BLOCK)


def arguments(where: Path, out: Path, eps: str = "2/255") -> list[str]:
    words = f"robustness --data {where}/data.npz --split all --model {where}/net.py:net --memory-format contiguous"
    return [*words.split(), *f"--attack pgd --steps 1,3,8 --eps {eps} --json --quiet --out {out}".split()]


def document(out: Path) -> dict:
    return json.loads((out / "robustness.json").read_text())


def rows(out: Path) -> list[dict]:
    return Table.read(out / "robustness.parquet").rows()


def section(out: Path) -> str:
    """Give the page's section without what time and the caller's folder decide."""
    text = (out / "report.html").read_text("utf-8")
    found = re.search(r'<section id="robustness">.*?</section>', text, re.DOTALL)
    assert found is not None
    return re.sub(r"[\d.]+ seconds", "", found[0])


@pytest.fixture(scope="module")
def whole(where: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of a run that nothing interrupted."""
    out = tmp_path_factory.mktemp("whole") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(block_sweeps, "_BLOCK", BLOCK)
        patch.setattr(sys, "argv", ["backlight", *arguments(where, out)])
        with pytest.raises(SystemExit) as stop:
            main()
    assert stop.value.code == 0
    return out


def start(words: list[str], **environment: str) -> subprocess.Popen[bytes]:
    code = f"import backlight.attack.block_sweeps as e; e._BLOCK = {BLOCK}; from backlight.cli import main; main()"
    settled = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1", **environment}
    return subprocess.Popen([sys.executable, "-c", code, *words], env=settled, stdout=subprocess.DEVNULL)


def test_a_page_a_table_and_a_document_are_written(whole: Path) -> None:
    page = read(whole / "report.html")
    assert "Under attack: pgd" in page.text
    assert "class 3" in page.text
    assert page.all("image")
    found = document(whole)
    assert found["n"] == len(rows(whole)) == COUNT
    assert set(found["by_steps"]) == {"1", "3", "8"}
    assert found["request"]["attack"] == "pgd"


@pytest.mark.slow
def test_after_sigkill_resume_gives_the_same_table_and_page(where: Path, whole: Path, tmp_path: Path) -> None:
    blocks = tmp_path / "out" / "robustness-blocks"
    killed = start(arguments(where, tmp_path / "out"), HOLD_AFTER_A_BLOCK_IN=str(blocks))
    while not any(blocks.glob("*.parquet")):
        assert killed.poll() is None, "it ended before a block was finished"
    killed.kill()
    assert killed.wait() == -signal.SIGKILL
    assert not (tmp_path / "out" / "robustness.parquet").exists()
    resumed = start([*arguments(where, tmp_path / "out"), "--resume"])
    assert resumed.wait(timeout=120) == 0
    assert rows(tmp_path / "out") == rows(whole)
    assert section(tmp_path / "out") == section(whole)


def test_ctrl_c_keeps_finished_blocks_and_prints_what_resumes(
    backlight: CommandLine, where: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep, finished = FolderParts.write, []

    def keep_and_interrupt(*things: object) -> None:
        keep(*things)  # type: ignore[arg-type]
        finished.append(1)
        if len(finished) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(FolderParts, "write", keep_and_interrupt)
    ran = backlight(*arguments(where, tmp_path / "out"), "--force")
    assert ran.status == 130
    assert len(list((tmp_path / "out" / "robustness-blocks").glob("*.parquet"))) == 2
    command = next(line for line in ran.err.splitlines() if line.startswith("resume with: "))
    words = shlex.split(command.removeprefix("resume with: "))
    assert words[0] == "backlight"
    assert backlight(*words[1:]).status == 0
    assert len(finished) == 3
    assert rows(tmp_path / "out") == rows(whole)


def test_a_larger_eps_begins_with_the_blocks_of_a_smaller(backlight: CommandLine, where: Path, tmp_path: Path) -> None:
    small, cold = tmp_path / "small", tmp_path / "cold"
    assert backlight(*arguments(where, small)).status == 0
    broken = [row["id"] for row in rows(small) if not row["robust"]]
    assert backlight(*arguments(where, cold, "3/255")).status == 0
    refused = backlight(*arguments(where, small, "3/255"), "--resume")
    assert refused.status == 2
    assert "another eps" in refused.err
    assert document(small)["eps"] == 2 / 255
    assert backlight(*arguments(where, small, "3/255"), "--resume", "--force").status == 0
    warm = {row["id"]: row for row in rows(small)}
    assert document(small)["eps"] == 3 / 255
    assert broken
    assert not any(warm[name]["robust"] for name in broken)
    assert sum(row["forwards"] for row in warm.values()) < document(cold)["forwards"]
    assert document(small)["robust_accuracy"] <= document(cold)["robust_accuracy"]


def test_nothing_is_overwritten_unasked_and_force_begins_anew(
    backlight: CommandLine, where: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert backlight(*arguments(where, out)).status == 0
    before = {path: path.stat().st_mtime_ns for path in sorted((out / "robustness-blocks").iterdir())}
    assert backlight(*arguments(where, out)).status == 2
    assert backlight(*arguments(where, out), "--resume").status == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert backlight(*arguments(where, out), "--force").status == 0
    assert all(path.stat().st_mtime_ns > before[path] for path in before)


def test_a_document_that_is_none_is_named(backlight: CommandLine, where: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    for text in ("{", "[]", '{"request": 3}'):
        (tmp_path / "out" / "robustness.json").write_text(text)
        ran = backlight(*arguments(where, tmp_path / "out"), "--resume")
        assert ran.status == 2
        assert "robustness.json" in ran.err


def test_other_pictures_under_the_same_names_are_attacked_anew(
    backlight: CommandLine, where: Path, tmp_path: Path
) -> None:
    out, other = tmp_path / "out", tmp_path / "data.npz"
    assert backlight(*arguments(where, out)).status == 0
    with np.load(where / "data.npz") as kept:
        np.savez(other, X=255 - kept["X"], y=kept["y"], label_names=kept["label_names"])
    words = [str(other) if word.endswith("data.npz") else word for word in arguments(where, out)]
    assert backlight(*words, "--resume", "--force").status == 0
    assert len(list((out / "robustness-blocks").glob("*.parquet"))) == 2 * COUNT // BLOCK


_TWO = """
import sys
import backlight.attack.block_sweeps as block_sweeps
from backlight.cli import main
block_sweeps._BLOCK = 5
sys.argv = ["backlight", *{words!r}]
try:
    main()
except SystemExit as stop:
    assert stop.code == 0
"""


@pytest.mark.slow
def test_two_processes_make_the_same_table_and_page(where: Path, whole: Path, tmp_path: Path) -> None:
    printed = run_processes(_TWO.format(words=arguments(where, tmp_path / "out")))
    assert json.loads(printed)["n"] == COUNT
    assert rows(tmp_path / "out") == rows(whole)
    assert section(tmp_path / "out") == section(whole)
