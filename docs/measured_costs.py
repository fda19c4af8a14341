"""Tables of what things cost and of what attacks reach, drawn from `benchmarks/results`: no page can go stale."""

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent.parent / "benchmarks" / "results"
Rows = list[tuple[str, ...]]


def tables() -> dict[str, Rows]:
    """Return the rows of every table by name, the header first."""
    return {
        "attacks": _attack_rows(),
        "cost": _cost_rows(),
        "cluster": _cluster_rows(),
        "memory": _memory_rows(),
        "bench": _bench_rows(),
    }


def _lines(name: str) -> list[dict[str, Any]]:
    path = RESULTS / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def _attack_rows() -> Rows:
    """List each attack in each norm on two networks: what it reached, and what it cost on the robust one."""
    lines = _lines("attack_table")
    found = {(one["attack"], one["norm"]): one for one in lines if one["net"] == "robust"}
    rows: Rows = [("attack", "norm", "needs", "within", "undefended", "robust", "forwards, backwards", "ms a picture")]
    for one in (one for one in lines if one["net"] == "plain"):
        robust = found.get((one["attack"], one["norm"]))
        if robust is not None:
            within = "nearest" if one["eps"] is None else _size(one["eps"], one["norm"])
            passes = f"{robust['forwards']:,.0f}, {robust['backwards']:,.0f}"
            spent = f"{1000 * robust['seconds']:,.0f}"
            reached = _reached(one), _reached(robust)
            rows.append((f"``{one['attack']}``", one["norm"], one["needs"], within, *reached, passes, spent))
    return rows


_LOOKS = {
    "predict, evaluate": (1, 0),
    "audit, quick": (1, 0),
    "Grad-CAM": (1, 0.3),
    "saliency": (0, 1),
    "corruptions, 15 kinds": (76, 0),
    "integrated gradients": (0, 42),
    "smoothing, n=1000": (1100, 0),
    "PGD-20, nobody fooled": (1, 20),
    "AutoAttack, nobody fooled": (5911, 1900),
}
"""How many forwards alone, and how many with their gradient, a picture takes."""


def _cost_rows() -> Rows:
    """Work out what a million photographs cost, from the measured times of one look at one."""
    spent = _lines("block_times")[0]["seconds"]
    rows: Rows = [
        ("what", "forwards alone", "with gradient", "core hours a million", "of it decoding", "core hours a billion")
    ]
    for name, (forwards, gradients) in _LOOKS.items():
        seconds = spent["decoding"] + forwards * spent["forward"] + gradients * spent["gradient"]
        hours = 1e6 * seconds / 3600
        share = f"{spent['decoding'] / seconds:.1%}"
        rows.append((name, f"{forwards:,}", f"{gradients:,}", f"{hours:,.1f}", share, f"{1000 * hours:,.0f}"))
    return rows


def _cluster_rows() -> Rows:
    order = ("cluster", "block", "time", "over ideal", "done twice (expected)", "tail", "failures")
    return [order, *(tuple(one[name] for name in order) for one in _lines("cluster"))]


def _reached(row: dict[str, Any]) -> str:
    """Say how far an attack on the nearest success had to go at the median, and of any other whom it fooled."""
    if row["eps"] is not None:
        return f"{row['fooled']} of {row['pictures']}"
    far = row["median_distance"]
    return "most missed" if far is None else _size(far, row["norm"])


def _size(size: float, norm: str) -> str:
    return f"{255 * size:.3g}/255" if norm == "linf" else f"{size:.3g}"


def _memory_rows() -> Rows:
    """List what keeping freed memory costs in resident memory, and saves in time, command by command."""
    rows: Rows = [("command", "MiB, kept", "MiB, given back", "seconds, kept (of the system)", "seconds, given back")]
    for one in _lines("memory"):
        kept, back = one["kept"], one["given back"]
        spent = [f"{each['user'] + each['system']:.1f} ({each['system']:.1f})" for each in (kept, back)]
        rows.append((one["what"], f"{kept['mib']:,}", f"{back['mib']:,}", *spent))
    return rows


def _bench_rows() -> Rows:
    """List the figures of the newest complete run of all benchmarks."""
    rows: Rows = [("figure", "ours", "peer", "ratio", "goal", "run")]
    runs = _lines("history")
    whole = [one for one in runs if one["mode"] == "full"] or runs
    for one in whole[-1]["figures"] if whole else ():
        run = f"{whole[-1]['commit']}, {whole[-1]['date']}"
        peer = "" if one["peer"] is None else f"{one['peer_name']} {one['peer']:.4g}{_between(one['peer_spread'])}"
        ours = f"{one['ours']:.4g} {one['unit']}{_between(one['spread'])}"
        ratio = "" if one["ratio"] is None else f"{one['ratio']:.3g}"
        goal = "" if one["goal"] is None else f"{one['goal']:.3g}{'' if one['ok'] else ', missed'}"
        rows.append((f"{one['file']}: {one['name']}", ours, peer, ratio, goal, run))
    return rows


def _between(spread: list[float] | None) -> str:
    return "" if spread is None else f" ({spread[0]:.3g} to {spread[1]:.3g})"
