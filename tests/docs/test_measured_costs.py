"""The tables that are drawn from recorded figures, and the comparison of one run of benchmarks with the next."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "docs")]
try:
    import history
    import measured_costs
finally:
    del sys.path[:2]


def figure(**changes: Any) -> dict[str, Any]:
    return {"file": "core", "name": "pgd", "ratio": 2.0, "ok": True} | changes


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, []),
        ({"ratio": 1.71}, []),  # 0.855 of what it was
        ({"ratio": 1.69}, ["core: pgd: ratio 1.69 after 2"]),
        ({"ok": False}, ["core: pgd: misses its goal, which it reached"]),
        ({"name": "new", "ratio": 0.1, "ok": False}, []),
        ({"ratio": None}, []),
    ],
)
def test_which_figures_are_worse(changes: dict[str, Any], said: list[str]) -> None:
    assert list(history.worse([figure(**changes)], {"figures": [figure()]})) == said


def test_a_missed_goal_that_was_missed_before_is_no_news() -> None:
    assert list(history.worse([figure(ok=False)], {"figures": [figure(ok=False)]})) == []


def test_the_last_entry_of_a_mode_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "HISTORY", tmp_path / "history.jsonl")
    assert history.last("full") is None
    entries = [{"mode": "full", "seconds": 1}, {"mode": "full", "seconds": 2}, {"mode": "--quick", "seconds": 3}]
    history.HISTORY.write_text("".join(json.dumps(one) + "\n" for one in entries))
    assert history.last("full") == entries[1]


def test_a_benchmark_that_fails_is_no_short_list_of_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "HERE", tmp_path)
    (tmp_path / "core.py").write_text('import sys; print(\'{"name": "a"}\', flush=True); sys.exit(3)')
    with pytest.raises(subprocess.CalledProcessError):
        list(history.ran("core", ()))


def test_every_table_has_equal_rows() -> None:
    for name, rows in measured_costs.tables().items():
        assert {len(row) for row in rows} == {len(rows[0])}, name


def test_attacks_on_the_nearest_are_told_by_their_distance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"attack": "ddn", "norm": "l2", "needs": "gradients", "pictures": 50, "fooled": 50, "forwards": 114.0}
    row |= {"backwards": 100.0, "seconds": 0.02}
    lines = [
        row | {"net": "plain", "eps": None, "median_distance": 0.25},
        row | {"net": "robust", "eps": None, "median_distance": None},
        row | {"net": "plain", "attack": "pgd", "norm": "linf", "eps": 8 / 255, "median_distance": 0.03},
        row | {"net": "robust", "attack": "pgd", "norm": "linf", "eps": 8 / 255, "fooled": 20, "median_distance": None},
        row | {"net": "plain", "attack": "not on both", "eps": None, "median_distance": 1.0},
    ]
    (tmp_path / "attack_table.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    monkeypatch.setattr(measured_costs, "RESULTS", tmp_path)
    assert measured_costs._attack_rows()[1:] == [
        ("``ddn``", "l2", "gradients", "nearest", "0.25", "most missed", "114, 100", "20"),
        ("``pgd``", "linf", "gradients", "8/255", "50 of 50", "20 of 50", "114, 100", "20"),
    ]
