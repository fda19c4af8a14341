"""Tables and curves of the recorded training runs, drawn from `benchmarks/results` so that no page can go stale."""

import json
from pathlib import Path
from typing import Any

from backlight.runs.log import read_log
from backlight.train.curves import draw_curves

RESULTS = Path(__file__).parent.parent / "benchmarks" / "results"
CURVES = {
    "cifar": ("classic", "residual", "default", "cct", "vit-full"),
    "vit": ("vit-global", "vit-global-nopos", "vit-windows", "vit-windows-nopos"),
    "shapes": ("shapes-simple", "shapes-simple-bn", "shapes-deep"),
}
_HEADER = ("run", "pictures", "epochs", "the best", "val accuracy", "test accuracy (95 % interval)", "test top-5")


def write(folder: Path) -> None:
    """Write `measured/` below `folder`: a table and a picture of curves per group of runs, and tables on robustness."""
    target = folder / "measured"
    target.mkdir(exist_ok=True)
    for group, names in CURVES.items():
        runs = {name: result for name in names if (result := _read(name))}
        (target / f"{group}.inc").write_text(_table([_HEADER, *map(_row, runs.values())]), encoding="utf-8")
        draw_curves({name: read_log(RESULTS / f"{name}.jsonl") for name in runs}, target / f"{group}.svg")
    (target / "robust.inc").write_text(_table(_robust_rows("default", "adversarial")), encoding="utf-8")
    (target / "corrupted.inc").write_text(_table(_corrupted_rows("plain-8", "augmix-8")), encoding="utf-8")
    (target / "cost.inc").write_text(_table(_cost_rows()), encoding="utf-8")
    (target / "cluster.inc").write_text(_table(_cluster_rows()), encoding="utf-8")
    (target / "attacks.inc").write_text(_table(_attack_rows()), encoding="utf-8")


def _read(name: str) -> dict[str, Any]:
    path = RESULTS / f"{name}.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def _row(result: dict[str, Any]) -> tuple[str, ...]:
    tested = result["test"]
    low, high = map(_percent, tested["accuracy_interval"])
    return (
        f"``{result['name']}`` ({result['model']})",
        f"{result['train_pictures']:,}",
        str(result["epochs"]),
        str(result["best_epoch"]),
        _percent(result["val_accuracy"]),
        f"{_percent(tested['accuracy'])} ({low} to {high})",
        _percent(tested["top5"]),
    )


def _robust_rows(before: str, after: str) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("trained", "clean accuracy", "accuracy under PGD-20, 8/255", "pictures", "minutes")]
    for name, label in ((before, "plainly"), (after, "on PGD-3, 8/255")):
        result = _read(name)
        if result:
            robust, minutes = result["robust"], result["seconds"] / 60
            cells = _percent(robust["clean"]), _percent(robust["pgd20"]), f"{robust['n']:,}", f"{minutes:.0f}"
            rows.append((f"{label} (``{name}``)", *cells))
    return rows


def _corrupted_rows(before: str, after: str) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [
        ("trained", "clean accuracy", "mean accuracy corrupted", "accuracy under PGD-20, 8/255")
    ]
    for name, label in ((before, "plainly"), (after, "with ``--augment augmix``")):
        result = _read(name)
        if result:
            corrupted, robust = result["corrupted"], result["robust"]
            cells = _percent(corrupted["clean"]), _percent(corrupted["mean"]), _percent(robust["pgd20"])
            rows.append((f"{label} (``{name}``)", *cells))
    return rows


def _attack_rows() -> list[tuple[str, ...]]:
    """List each attack in each norm on two networks: what it reached, and what it cost on the robust one."""
    path = RESULTS / "attack_table.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    found = {(one["attack"], one["norm"]): one for one in lines if one["net"] == "robust"}
    rows: list[tuple[str, ...]] = [
        ("attack", "norm", "needs", "within", "undefended", "robust", "forwards, backwards", "ms a picture")
    ]
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


def _cost_rows() -> list[tuple[str, ...]]:
    """Work out what a million photographs cost, from the measured times of one look at one."""
    spent = json.loads((RESULTS / "block_times.jsonl").read_text(encoding="utf-8"))["seconds"]
    rows: list[tuple[str, ...]] = [
        ("what", "forwards alone", "with gradient", "core hours a million", "of it decoding", "core hours a billion")
    ]
    for name, (forwards, gradients) in _LOOKS.items():
        seconds = spent["decoding"] + forwards * spent["forward"] + gradients * spent["gradient"]
        hours = 1e6 * seconds / 3600
        share = _percent(spent["decoding"] / seconds)
        rows.append((name, f"{forwards:,}", f"{gradients:,}", f"{hours:,.1f}", share, f"{1000 * hours:,.0f}"))
    return rows


def _cluster_rows() -> list[tuple[str, ...]]:
    lines = (RESULTS / "cluster.jsonl").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    return [tuple(found[0]), *(tuple(one.values()) for one in found)]


def _reached(row: dict[str, Any]) -> str:
    """Say how far an attack on the nearest success had to go at the median, and of any other whom it fooled."""
    if row["eps"] is not None:
        return f"{row['fooled']} of {row['pictures']}"
    far = row["median_distance"]
    return "most missed" if far is None else _size(far, row["norm"])


def _size(size: float, norm: str) -> str:
    return f"{255 * size:.3g}/255" if norm == "linf" else f"{size:.3g}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _table(rows: list[tuple[str, ...]]) -> str:
    widths = " ".join(["30", *["15"] * (len(rows[0]) - 1)])
    lines = [".. list-table::", "   :header-rows: 1", f"   :widths: {widths}", ""]
    for first, *others in rows:
        lines += [f"   * - {first}", *(f"     - {cell}" for cell in others)]
    return "\n".join(lines) + "\n"
