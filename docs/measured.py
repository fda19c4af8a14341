"""Tables and curves of the recorded training runs, drawn from `benchmarks/results` so that no page can go stale."""

import json
from pathlib import Path
from typing import Any

import measured_costs

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
    for name, rows in measured_costs.tables().items():
        (target / f"{name}.inc").write_text(_table(rows), encoding="utf-8")


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


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _table(rows: list[tuple[str, ...]]) -> str:
    if len(rows) == 1:
        return "Nothing is recorded yet.\n"
    widths = " ".join(["30", *["15"] * (len(rows[0]) - 1)])
    lines = [".. list-table::", "   :header-rows: 1", f"   :widths: {widths}", ""]
    for first, *others in rows:
        lines += [f"   * - {first}", *(f"     - {cell}" for cell in others)]
    return "\n".join(lines) + "\n"
