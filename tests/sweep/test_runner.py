"""The sweep: the same rows in order for any number of processes and after any kill, and an estimate where it helps."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
import torch

from backlight.core.errors import DataError
from backlight.data.dataset import Dataset
from backlight.sweep import Cost, Part, Task, runner, sweep
from backlight.sweep.claims import Claim
from backlight.sweep.estimate import Estimate
from backlight.sweep.parts import FolderParts
from backlight.table import Table
from tests.processes import run_processes, run_script
from tests.sweep.tasks import brightness, pictures


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def expected() -> list[dict[str, object]]:
    images = pictures()[:].images
    return Table.of(id=range(10), mean=images.mean((1, 2, 3))).rows()


def test_rows_come_in_order_with_and_without_a_folder(tmp_path: Path) -> None:
    for size in (1, 3, 10, 50):
        for folder in (None, tmp_path / str(size)):
            found = sweep(brightness(size=size), folder=folder)
            assert found.table.rows() == expected()
            images = torch.cat([part.tensors["images"] for part in found.parts()])
            assert torch.equal(images, pictures()[:].images)


def test_a_second_run_works_on_nothing_and_another_question_on_everything(tmp_path: Path) -> None:
    worked: list[int] = []
    for asked, count in (("mean", 5), ("mean", 5), ("sum", 10)):
        sweep(brightness(after=lambda: worked.append(1), asked=asked), folder=tmp_path)
        assert len(worked) == count
    changed = pictures()
    changed = Dataset.of(torch.cat([255 - changed.read([0]), changed.read(range(1, 10))]))
    found = sweep(brightness(changed, after=lambda: worked.append(1)), folder=tmp_path)
    assert len(worked) == 11  # the one block with another picture
    assert found.table["mean"][0] == changed[[0]].images.mean()


def test_an_interrupt_loses_the_block_under_way_only(tmp_path: Path) -> None:
    worked: list[int] = []

    def interrupt() -> None:
        worked.append(1)
        if len(worked) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(brightness(after=interrupt), folder=tmp_path)
    assert len(list(tmp_path.glob("*.parquet"))) == 2
    assert not list(tmp_path.glob("*.claim"))
    assert sweep(brightness(after=interrupt), folder=tmp_path).table.rows() == expected()
    assert len(worked) == 6


_KILLED = """
import os, signal, sys
from pathlib import Path
from backlight.sweep import sweep
from tests.sweep.tasks import brightness
worked = []
def die():
    worked.append(1)
    if len(worked) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
sweep(brightness(after=die), folder=Path(sys.argv[1]))
"""


def test_bytes_are_the_same_after_two_kills(tmp_path: Path) -> None:
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    for deaths, left in ((1, 0), (3, 2)):
        ended = run_script(_KILLED, killed, deaths)
        assert ended.status == -signal.SIGKILL, ended.err
        assert len(list(killed.glob("*.parquet"))) == left
        assert list(killed.glob("*.claim"))  # of the block that it died on
    assert sweep(brightness(), folder=killed).table.rows() == expected()
    sweep(brightness(), folder=whole)
    assert files(killed) == files(whole)


_TOGETHER = """
from pathlib import Path
from backlight.core.processes import make_engine
from backlight.sweep import sweep
from tests.sweep.tasks import brightness
engine = make_engine("cpu")
worked = []
for folder in (Path({folder!r}), None):
    found = sweep(brightness(size=1, after=lambda: worked.append(1)), folder=folder, engine=engine)
    every = engine.gather_objects((found.table.rows(), len(worked)))
    assert every[0][0] == every[1][0]
    assert sum(count for _, count in every) == 10, every
    assert folder is not None or min(count for _, count in every) == 5
    worked.clear()
engine.barrier()
if engine.is_main:
    print("done")
"""


def test_two_processes_share_the_blocks_and_write_the_bytes_of_one(tmp_path: Path) -> None:
    together, alone = tmp_path / "together", tmp_path / "alone"
    assert run_processes(_TOGETHER.format(folder=str(together))) == "done\n"
    assert sweep(brightness(size=1), folder=alone).table.rows() == expected()
    assert files(together) == files(alone)


def test_a_block_of_a_live_process_is_waited_for_and_not_worked_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = brightness()
    parts = FolderParts(tmp_path, task.key)
    first = task.blocks(2)[0]
    other = parts.path(first).with_suffix(".claim")
    tmp_path.mkdir(exist_ok=True)
    other.write_text(json.dumps(vars(Claim.own())))
    waited: list[float] = []

    def finish(seconds: float) -> None:  # what the other process does while this one waits
        waited.append(seconds)
        parts.write(first, Part(Table.of(id=first.ids, mean=[7.0, 8.0])))
        other.unlink()

    monkeypatch.setattr(runner.time, "sleep", finish)
    found = sweep(task, folder=tmp_path)
    assert len(waited) == 1
    assert found.table["mean"].tolist()[:2] == [7.0, 8.0]
    assert found.table.ids == list(pictures().ids)


def test_a_run_that_goes_on_cuts_as_the_first_one_did(tmp_path: Path) -> None:
    asked: list[Cost] = []

    def task(seconds: float) -> Task:
        def cost() -> Cost:
            asked.append(Cost(10**10, seconds, 48))
            return asked[-1]

        plain = brightness()
        return Task(plain.name, plain.data, plain.work, plain.depends, cost)

    first = sweep(task(5.0), folder=tmp_path)
    again = sweep(task(10.0), folder=tmp_path)
    assert len(asked) == 1
    assert [len(block) for block in first.blocks] == [len(block) for block in again.blocks]


def test_no_block_is_begun_once_it_is_enough(tmp_path: Path) -> None:
    worked: list[int] = []
    task = brightness(after=lambda: worked.append(1))
    found = sweep(task, folder=tmp_path, enough=lambda: len(worked) >= 2)
    assert found.table.ids == ["0", "1", "2", "3"]
    more = sweep(task, folder=tmp_path, enough=lambda: len(worked) >= 3)
    assert more.table.ids == ["0", "1", "2", "3", "4", "5"]
    assert sweep(task, folder=tmp_path, enough=lambda: True).table.ids == more.table.ids


def test_nothing_readable_is_one_sentence() -> None:
    task = Task("look", pictures(2), lambda data, advance: Part(Table.of(id=[])))
    with pytest.raises(DataError, match="no picture that can be read"):
        sweep(task).table  # noqa: B018 - asking is what raises


class Told:
    """Keeps what is told."""

    def __init__(self) -> None:
        self.count, self.said = 0, list[str]()

    def start(self, total: int, description: str) -> None:
        pass

    def advance(self, count: int = 1, note: str = "") -> None:
        self.count += count

    def announce(self, text: str) -> None:
        self.said.append(text)

    def done(self) -> None:
        pass


@pytest.mark.parametrize(("seconds", "said"), [(1.0, 0), (100.0, 1)])
def test_long_work_is_estimated_once_after_its_first_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, said: int
) -> None:
    clock = iter(range(10**6))
    monkeypatch.setattr(runner.time, "perf_counter", lambda: next(clock) * seconds)
    told = Told()
    sweep(brightness(), folder=tmp_path, progress=told)
    assert told.count == 10
    assert len(told.said) == said
    if said:
        assert "about 7 minutes" in told.said[0]  # four blocks of 100 s are left
        assert "GiB" in told.said[0]


def test_an_estimate_in_words() -> None:
    assert Estimate(45.2, 3 * 2**29).text == "about 45 seconds, 1.5 GiB of memory"
    assert Estimate(2 * 3600.0, 2**30, 11_600).text.endswith("11,600 passes a picture")
