"""How far a sweep is, read from its folder by a process that has no part in it."""

import json
import os
from pathlib import Path

import pytest
import torch

from backlight.core.errors import Failure, FileError
from backlight.data import Dataset
from backlight.sweep import Part, Task, sweep
from backlight.sweep.claims import claimed
from backlight.sweep.jobs import read_jobs
from backlight.table import Table

PICTURES = Dataset.of(torch.zeros(10, 3, 4, 4, dtype=torch.uint8))


def swept(folder: Path, *, blocks: int = 4, tag: str = "") -> None:
    """Finish so many blocks of three pictures; the last picture of each cannot be read."""
    done: list[Part] = []

    def work(data: Dataset, advance: object) -> Part:
        part = Part(Table.of(id=data.ids[:-1]), failed=(Failure(data.ids[-1], "broken"),))
        done.append(part)
        return part

    sweep(Task("look", PICTURES, work, size=3), folder=folder, tag=tag, enough=lambda: len(done) >= blocks)


def dated(folder: Path, seconds: float) -> None:
    """Let parts lie so many seconds apart."""
    for number, path in enumerate(sorted(folder.glob("*.parquet"))):
        os.utime(path, (1e9 + number * seconds,) * 2)


def test_counts_pace_and_what_is_left(tmp_path: Path) -> None:
    folder = tmp_path / "evaluate-blocks"
    swept(folder, blocks=3)
    dated(folder, seconds=2.0)
    found = read_jobs(tmp_path)
    assert (found.tasks, found.blocks, found.done, found.failed) == (("look",), 4, 3, 3)
    assert found.images_per_second == pytest.approx(1.5)  # two blocks of three pictures in four seconds
    assert found.left_s == pytest.approx(3 / 1.5)
    assert found.running == ()
    assert read_jobs(folder) == found
    swept(folder)
    assert read_jobs(tmp_path).done == 4
    assert "nobody at work" in read_jobs(tmp_path).line


def test_runs_that_share_a_plan_are_counted_each(tmp_path: Path) -> None:
    swept(tmp_path, tag="fgsm")
    swept(tmp_path, tag="pgd", blocks=1)
    found = read_jobs(tmp_path)
    assert (found.blocks, found.done, found.failed) == (8, 5, 5)


def test_who_works_is_named_and_the_dead_are_not(tmp_path: Path) -> None:
    swept(tmp_path, blocks=1)
    key = next(tmp_path.glob("*.parquet")).stem
    with claimed(tmp_path / f"{key[:-1]}x.claim"):
        (mine,) = read_jobs(tmp_path).running
        assert mine.process == os.getpid()
        dead = json.loads((tmp_path / f"{key[:-1]}x.claim").read_text()) | {"process": 2**22 + 1}
        (tmp_path / f"{key[:-1]}y.claim").write_text(json.dumps(dead))
        assert read_jobs(tmp_path).running == (mine,)
    assert read_jobs(tmp_path).running == ()


def test_what_is_no_sweep_and_what_is_broken_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="holds no sweep"):
        read_jobs(tmp_path)
    swept(tmp_path, blocks=2)
    assert read_jobs(tmp_path).left_s is not None or read_jobs(tmp_path).images_per_second is None
    next(tmp_path.glob("*.parquet")).write_bytes(b"PAR1")
    with pytest.raises(FileError, match="is no finished block"):
        read_jobs(tmp_path)
    next(tmp_path.glob("*-plan-*.json")).write_text("[]")
    with pytest.raises(FileError, match="expected an object with task"):
        read_jobs(tmp_path)
