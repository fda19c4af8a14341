"""The simulation of many workers against closed forms and hand-made schedules."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def cluster() -> Any:
    sys.path.insert(0, str(BENCHMARKS))
    try:
        spec = importlib.util.spec_from_file_location("cluster", BENCHMARKS / "cluster.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["cluster"] = module
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(BENCHMARKS))
        sys.modules.pop("cluster", None)


@pytest.mark.parametrize(("workers", "blocks", "rounds"), [(1, 5, 5), (4, 8, 2), (4, 9, 3), (10, 3, 1)])
def test_equal_blocks_take_whole_rounds(cluster: Any, workers: int, blocks: int, rounds: int) -> None:
    found = cluster.simulate(cluster.Cluster(workers=workers), blocks, [7.0])
    assert found.makespan == 7.0 * rounds
    assert found.ideal == pytest.approx(7.0 * blocks / workers)
    assert (found.lost, found.failures) == (0, 0)


def test_a_slow_worker_takes_what_it_can(cluster: Any) -> None:
    # The slow one ends its first block at 30 s, the fast one does a block every 10 s until then: 1 + 3 of 4 blocks.
    found = cluster.simulate(cluster.Cluster(workers=2, slow=0.5, slowness=3.0), 4, [10.0])
    assert (found.makespan, found.tail) == (30.0, 0.0)
    assert found.ideal == pytest.approx(40 / (1 + 1 / 3))


@pytest.mark.parametrize("between", [200.0, 1000.0])
def test_what_is_done_twice_is_what_the_formula_says(cluster: Any, between: float) -> None:
    shape = cluster.Cluster(workers=20, between_failures=between, restart=5.0)
    found = cluster.simulate(shape, 20_000, [40.0])
    assert found.lost == pytest.approx(cluster.expected_loss(between, 40.0), rel=0.05)


def test_a_lost_block_waits_for_its_claim_to_expire(cluster: Any) -> None:
    one = cluster.Cluster(workers=1, between_failures=30.0, restart=1.0)
    found = [cluster.simulate(one, 1, [10.0], seed=seed) for seed in range(20)]
    assert {outcome.makespan for outcome in found if not outcome.failures} == {10.0}
    assert min(outcome.makespan for outcome in found if outcome.failures) > 310
