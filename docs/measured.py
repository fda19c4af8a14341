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
HARDENED = ("default", "adversarial", "nfgsm", "trades", "hardened", "noise", "ibp", "crown-ibp")
PROVED = ("ibp", "crown-ibp")
_HEADER = ("run", "pictures", "epochs", "the best", "val accuracy", "test accuracy (95 % interval)", "test top-5")


def write(folder: Path) -> None:
    """Write `measured/` below `folder`: a table and a picture of curves per group of runs, and tables on robustness."""
    target = folder / "measured"
    target.mkdir(exist_ok=True)
    for group, names in CURVES.items():
        runs = {name: result for name in names if (result := _read(name))}
        (target / f"{group}.inc").write_text(_table([_HEADER, *map(_row, runs.values())]), encoding="utf-8")
        draw_curves({name: read_log(RESULTS / f"{name}.jsonl") for name in runs}, target / f"{group}.svg")
    (target / "robust.inc").write_text(_table(_hardened_rows(HARDENED), "22 10 11 10 10 15 13 11 8"), encoding="utf-8")
    (target / "smoothed.inc").write_text(_table(_smoothed_rows("noise")), encoding="utf-8")
    (target / "proved.inc").write_text(_table(_proved_rows(PROVED)), encoding="utf-8")
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


def _hardened_rows(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    header = "run and its settings", "epochs", "minutes", "clean", "PGD-20", "AutoAttack (fast)", "corrupted", "commit"
    rows: list[tuple[str, ...]] = [(*header, "seed")]
    for name in names:
        if result := _read(name):
            robust, recipe = result["robust"], result["recipe"]
            changed = recipe["adversary"], recipe["augment"].get("corruption", ""), _average(recipe)
            settings = ", ".join(f"``{one}``" for one in changed if one) or "trained plainly"
            cells = _percent(robust["clean"]), _percent(robust["pgd20"]), _fast_autoattack(name, robust)
            rows.append(
                (
                    f"``{name}``: {settings}",
                    str(result["epochs"]),
                    f"{result['seconds'] / 60:.0f}",
                    *cells,
                    _percent(result["corrupted"]["mean"]),
                    f"``{result['commit'][:7]}``",
                    str(result["seed"]),
                )
            )
    return rows


def _average(recipe: dict[str, Any]) -> str:
    return f"ema={recipe['ema']:g}" if recipe["ema"] else ""


def _proved_rows(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("run", "minutes", "clean", "proved by IBP", "proved by CROWN", "left by PGD-20")]
    for name in names:
        if result := _read(name):
            proved, minutes = result["certified"], f"{result['seconds'] / 60:.0f}"
            shares = (proved[which] for which in ("ibp", "crown", "attacked"))
            rows.append((f"``{name}``", minutes, _percent(result["test"]["accuracy"]), *map(_percent, shares)))
    return rows


def _smoothed_rows(name: str) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("within l2 radius", "named right, proved", "95 % interval")]
    proved = (_read(name).get("certified") or {}).get("certified_accuracy", {})
    for radius, one in proved.items():
        low, high = map(_percent, one["interval"])
        rows.append((radius, _percent(one["share"]), f"{low} to {high}"))
    return rows


def _fast_autoattack(name: str, robust: dict[str, Any]) -> str:
    """Take it from the run, or from the blocks that `benchmarks/attack_fast.py` kept of the same weights."""
    if "autoattack_fast" in robust:
        return _percent(robust["autoattack_fast"])
    lines = map(json.loads, (RESULTS / "attack_fast_blocks.jsonl").read_text(encoding="utf-8").splitlines())
    blocks = [one for one in lines if one["net"] == name and one["method"] == "autoattack-fast"]
    pictures = sum(one["pictures"] for one in blocks)
    return _percent(sum(len(one["standing"]) for one in blocks) / pictures) if pictures else "not run"


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


def _table(rows: list[tuple[str, ...]], widths: str = "") -> str:
    if len(rows) == 1:
        return "Nothing is recorded yet.\n"
    widths = widths or " ".join(["30", *["15"] * (len(rows[0]) - 1)])
    lines = [".. list-table::", "   :header-rows: 1", f"   :widths: {widths}", ""]
    for first, *others in rows:
        lines += [f"   * - {first}", *(f"     - {cell}" for cell in others)]
    return "\n".join(lines) + "\n"
