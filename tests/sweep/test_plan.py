"""What a sweep will take: counted by hand, nothing left behind."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from backlight.core.processes import Engine
from backlight.data.dataset import Dataset
from backlight.sweep import Advance, Cost, Part, Task, plan, sweep
from backlight.sweep.plan import Plan, Planned, each_planned, plan_sweep
from backlight.table import Table

PICTURES = Dataset.of(torch.zeros(1000, 3, 4, 4, dtype=torch.uint8))


def task(seen: list[int], *, later: float = 0.0, passes: float = 2.0) -> Task:
    def work(block: Dataset, advance: Advance) -> Part:
        seen.append(len(block))
        return Part(Table.of(id=block.ids), {"images": torch.zeros(len(block), 1000)})

    def cost() -> Cost:
        return Cost(10**9, passes, 48, held=10)  # 0.2 s of a slow core a picture, so 100 a block

    return Task("look", PICTURES, work, ("look",), cost, most=100, later=later)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each look at the clock be 10 s after the one before."""
    clock = iter(range(0, 10**6, 10))
    monkeypatch.setattr(plan.time, "perf_counter", lambda: next(clock))


@pytest.mark.usefixtures("slow")
def test_a_plan_is_arithmetic_and_a_few_timed_pictures(tmp_path: Path) -> None:
    seen: list[int] = []
    found = plan_sweep(task(seen), tmp_path / "blocks", Engine(torch.device("cpu")))
    assert seen == [1, 20]  # 4 s of a slow core
    assert (found.pictures, found.blocks, found.size, found.passes, found.measured) == (1000, 10, 100, 2.0, 20)
    assert found.seconds == 10 / 20 * 1000
    assert 4e6 < found.disk < 5e6  # 1000 floats a picture
    assert plan_sweep(task([], later=6.0), tmp_path / "b", Engine(torch.device("cpu"))).seconds == 4 * found.seconds


def test_prices_and_workers() -> None:
    found = Plan("look", 1000, 4, 250, 10**6, 1.0, 8, 4, 900.0, 2**30, 2**20)
    assert found.core_hours == 1.0
    assert found.price_per_million(5.0) == pytest.approx(0.05 * 1000)
    assert [found.seconds_with(workers) for workers in (0, 1, 2, 4, 8)] == [900, 900, 900, 900, 450]
    assert "50.00 per million pictures at 5 cents" in found.told(0, 5.0)


def test_sweeps_are_planned_together_and_leave_nothing(tmp_path: Path) -> None:
    engine, out, seen = Engine(torch.device("cpu"), planning=True), tmp_path / "blocks", list[int]()
    look = lambda: sweep(task(seen), folder=out, engine=engine)  # noqa: E731
    with pytest.raises(Planned) as planned:
        each_planned([look, look], planning=True)
    assert [one.task for one in planned.value.plans] == ["look", "look"]
    assert not list(out.glob("*plan*"))
