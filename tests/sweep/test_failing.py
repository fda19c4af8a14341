"""Blocks whose work raises: tried again, then named, and tried again later; what a caller can mend ends all at once."""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from backlight.core.errors import DataError, UsageError
from backlight.core.processes import Engine
from backlight.core.share import Share
from backlight.data.dataset import Dataset
from backlight.sweep import Advance, Part, Task, sweep
from backlight.sweep.jobs import read_jobs
from backlight.sweep.parts import GIVEN_UP, try_all_again
from backlight.sweep.runner import HOPELESS, TRIES
from backlight.sweep.stopped import ShareDone
from tests.sweep.tasks import brightness, pictures
from tests.sweep.test_runner import Told, expected, files


def failing(when: Callable[[str, int], None], size: int = 2) -> tuple[Task, Counter[str]]:
    """Return a task that calls `when` with the first id of a block and how often it was tried; and the tries."""
    plain, tries = brightness(size=size), Counter[str]()

    def work(block: Dataset, advance: Advance) -> Part:
        tries[block.ids[0]] += 1
        advance(len(block))
        when(block.ids[0], tries[block.ids[0]])
        return plain.work(block, advance)

    return Task(plain.name, plain.data, work, plain.depends, size=size), tries


def broken(*ids: str, error: type[Exception] = RuntimeError) -> Callable[[str, int], None]:
    def when(first: str, tries: int) -> None:
        if first in ids:
            raise error("not this time")

    return when


def test_a_block_that_fails_once_has_the_bytes_of_one_that_does_not(tmp_path: Path) -> None:
    def once(first: str, tries: int) -> None:
        if first == "4" and tries < TRIES:
            raise RuntimeError("not yet")

    task, tries = failing(once)
    found = sweep(task, folder=tmp_path / "failing")
    sweep(brightness(), folder=tmp_path / "whole")
    assert tries == {"0": 1, "2": 1, "4": TRIES, "6": 1, "8": 1}
    assert found.failed == ()
    assert files(tmp_path / "failing") == files(tmp_path / "whole")


def test_a_block_that_fails_always_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    task, tries = failing(broken("2"))
    found = sweep(task, folder=tmp_path)
    assert tries["2"] == TRIES
    assert [one.path for one in found.failed] == ["2", "3"]
    assert "failed 3 times: RuntimeError: not this time" in found.failed[0].error
    assert found.table.rows() == [*expected()[:2], *expected()[4:]]
    assert read_jobs(tmp_path).failed == 2
    sweep(task, folder=tmp_path)  # one who joins, or who looks back after its workers
    assert tries["2"] == TRIES
    try_all_again(tmp_path)
    whole = sweep(brightness(), folder=tmp_path)
    assert whole.failed == ()
    assert whole.table.rows() == expected()
    assert not list(tmp_path.glob(f"*{GIVEN_UP}"))


def test_progress_ends_where_it_should_though_blocks_fail(tmp_path: Path) -> None:
    told = Told()
    sweep(failing(broken("2"))[0], folder=tmp_path, progress=told)
    assert told.count == len(pictures())


@pytest.mark.parametrize("error", [UsageError, DataError])
def test_what_a_caller_can_mend_ends_the_sweep_at_once(tmp_path: Path, error: type[Exception]) -> None:
    task, tries = failing(broken("2", error=error))
    with pytest.raises(error, match="not this time"):
        sweep(task, folder=tmp_path)
    assert tries == {"0": 1, "2": 1}


def test_a_full_disk_ends_the_sweep_at_once(tmp_path: Path) -> None:
    def full(first: str, tries: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    task, tries = failing(full)
    with pytest.raises(OSError, match="No space"):
        sweep(task, folder=tmp_path)
    assert sum(tries.values()) == 1


def test_where_every_block_fails_the_error_itself_comes_after_a_few(tmp_path: Path) -> None:
    task, tries = failing(broken(*map(str, range(10))))
    with pytest.raises(RuntimeError, match="not this time"):
        sweep(task, folder=tmp_path)
    assert sum(tries.values()) == HOPELESS * TRIES
    with pytest.raises(DataError, match="no block can be worked on: RuntimeError: not this time; try: --resume"):
        sweep(task, folder=tmp_path)
    assert sum(tries.values()) == HOPELESS * TRIES


def test_in_memory_an_error_is_an_error(tmp_path: Path) -> None:
    task, tries = failing(broken("2"))
    with pytest.raises(RuntimeError):
        sweep(task)
    assert tries["2"] == 1


def part(number: int, count: int = 2, *, helps: bool = False) -> Engine:
    return Engine(torch.device("cpu"), part=Share(number, count, helps))


def test_a_share_takes_its_own_blocks_and_tries_again_what_failed(tmp_path: Path) -> None:
    task, tries = failing(broken("2"))
    for total in (TRIES, 2 * TRIES):
        with pytest.raises(ShareDone) as stopped:
            sweep(task, folder=tmp_path, engine=part(0))
        assert set(tries) == {"0", "2"}
        assert tries["2"] == total
        done = stopped.value
        assert (done.own, done.done, done.blocks, len(done.failed)) == (1, 1, 5, 1)
    with pytest.raises(ShareDone):
        sweep(brightness(), folder=tmp_path, engine=part(0))
    assert sweep(brightness(), folder=tmp_path, engine=part(1)).table.rows() == expected()  # the last one goes on


def test_who_helps_begins_with_its_share_and_leaves_nothing(tmp_path: Path) -> None:
    order: list[str] = []
    task, _ = failing(lambda first, tries: order.append(first))
    assert sweep(task, folder=tmp_path, engine=part(1, helps=True)).table.rows() == expected()
    assert order == ["4", "6", "8", "0", "2"]
